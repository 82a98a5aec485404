"""How a statement meets the one that is stored: as the whole plan, or as a part of it; with a first day that was only assumed; on
hold. Whoever sends the same file again must change nothing, whatever day it is then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from services.scheduler.bodies import MedicineBody, PlanBody
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.joining import join
from services.scheduler.domain.plan import Medicine, Plan, PlanStatus
from services.scheduler.reading import Reader
from services.scheduler.rule_sets import Coded, rule_sets_for
from services.scheduler.storage.plans import Names

_OVER = ("stopped", "completed")


@dataclass(frozen=True)
class Piece:
    """`whole`: what the statement does not name is no longer in the plan; else it stays. `starts_assumed`: nothing says when it
    begins, so `starts_on` is today, and the day of the first time stays. `paused`: it is on hold."""

    whole: bool = True
    starts_assumed: bool = False
    paused: bool = False


WHOLE = Piece()


@dataclass(frozen=True)
class Known:
    """What is stored: the statement put last, the plan as it stands, what the clinic calls things."""

    base: Plan
    current: Plan
    names: Names


def statement(reader: Reader, body: PlanBody, piece: Piece, known: Known | None) -> Plan:
    """The whole statement that the body amounts to; its status is what the statement asks for. Raises Refused."""
    asked: PlanStatus = "paused" if piece.paused else "active"
    if known is None:
        return replace(reader.plan(body), status=asked)
    plan = reader.plan(_kept_starts(reader, body, known.base, piece))
    if piece.whole:
        return _unless_over(reader, body, known, replace(plan, status=asked))
    joined = join(known.base, plan)
    joined = replace(joined, medicines=_with_rule_sets(joined, plan, known, reader.medicines))
    return _unless_over(reader, body, known, replace(joined, status=_status(joined, plan, piece, known)))


def in_callers_order(plan: Plan, reader: Reader) -> Plan:
    """The same plan with the caller's medicines first and in their order, so that a refusal names their place."""
    own = [one for one in plan.medicines if str(one.id) in reader.medicines]
    order = list(reader.medicines)
    rest = tuple(one for one in plan.medicines if str(one.id) not in reader.medicines)
    return replace(plan, medicines=(*sorted(own, key=lambda one: order.index(str(one.id))), *rest))


def _unless_over(reader: Reader, body: PlanBody, known: Known, plan: Plan) -> Plan:
    """A plan that is over begins anew with what is asked for now: nothing of the old one comes back."""
    if known.current.status in _OVER and plan != known.base:
        return replace(reader.plan(body), status=plan.status)
    return plan


def _kept_starts(reader: Reader, body: PlanBody, base: Plan, piece: Piece) -> PlanBody:
    if not piece.starts_assumed:
        return body
    if piece.whole:
        return body.model_copy(update={"starts_on": base.starts_on})
    medicines = [_kept_start(one, base.medicine(reader.medicine_id(one.id, "medicines"))) for one in body.medicines]
    return body.model_copy(update={"medicines": medicines})


def _kept_start(body: MedicineBody, known: Medicine | None) -> MedicineBody:
    if body.starts_on is not None or known is None or not known.steps or not body.steps:
        return body
    first = known.steps[0].from_on - timedelta(days=body.steps[0].from_day - 1)
    return body.model_copy(update={"starts_on": first})


def _status(joined: Plan, part: Plan, piece: Piece, known: Known) -> PlanStatus:
    """A plan is paused as a whole: what is on hold cannot join medicines in force, nor the other way round."""
    base = known.base
    others = {one.id for one in base.medicines} - {one.id for one in part.medicines}
    if not part.medicines or (others and joined.medicines == base.medicines):
        return base.status
    if piece.paused and others and base.status != "paused":
        reason = "it is on hold beside others in force; a plan is paused as a whole"
        raise Refused("medicines", reason, accepted="an active medicine", conflict=True)
    if not piece.paused and others and base.status == known.current.status == "paused":
        reason = "the patient's plan is on hold, and nobody would ask for this medicine"
        raise Refused("medicines", reason, accepted="all medicines of the patient together", conflict=True)
    return "paused" if piece.paused else base.status if others else "active"


def _with_rule_sets(joined: Plan, part: Plan, known: Known, new: Mapping[str, Mapping[str, str | None]]) -> tuple[Medicine, ...]:
    """Some rule sets depend on what is taken beside (rule_sets.toml): all are found anew, what the clinic added stays."""
    called = {**known.names.medicines, **new}
    coded = {key: Coded(one.get("system"), one.get("code"), one.get("display")) for key, one in called.items()}
    return tuple(_relaid(one, joined, part if part.medicine(one.id) else known.base, coded) for one in joined.medicines)


def _relaid(medicine: Medicine, joined: Plan, read_in: Plan, coded: Mapping[str, Coded]) -> Medicine:
    def by_code(plan: Plan) -> set[str]:
        beside = [coded.get(str(one.id), Coded()) for one in plan.medicines if one.id != medicine.id]
        return set(rule_sets_for(coded.get(str(medicine.id), Coded()), beside))

    own = set(medicine.rule_sets) - by_code(read_in)
    return replace(medicine, rule_sets=tuple(sorted(own | by_code(joined))))


def beside_each_other(before: Plan, after: Plan, called: Mapping[str, Mapping[str, str | None]]) -> Plan:
    """The plan after a command that added, switched or removed a medicine, each medicine with the rule sets that follow from what
    is taken beside it now. What the clinic added stays. `called`: what the clinic calls the medicines of both, by our id."""
    coded = {key: Coded(one.get("system"), one.get("code"), one.get("display")) for key, one in called.items()}
    if {one.id: one.status for one in before.medicines} == {one.id: one.status for one in after.medicines}:
        return after

    def by_code(medicine: Medicine, taken: Iterable[Medicine]) -> set[str]:
        beside = [coded.get(str(one.id), Coded()) for one in taken if one.id != medicine.id]
        return set(rule_sets_for(coded.get(str(medicine.id), Coded()), beside))

    def relaid(medicine: Medicine) -> Medicine:
        # A medicine that ended by itself was still beside the others when their rule sets were found, or is not any more.
        found_before = by_code(medicine, before.medicines) | by_code(medicine, _taken(before))
        own = set(medicine.rule_sets) - (found_before if before.medicine(medicine.id) else by_code(medicine, ()))
        return replace(medicine, rule_sets=tuple(sorted(own | by_code(medicine, _taken(after)))))

    return replace(after, medicines=tuple(relaid(one) if one.status == "active" else one for one in after.medicines))


def _taken(plan: Plan) -> list[Medicine]:
    return [one for one in plan.medicines if one.status == "active"]
