"""What people ask of a plan: lock the patient, load, decide (domain), save (versions). All is checked before any is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scheduler import bodies, events, numbers, pieces, reading, telling, versions
from services.scheduler.domain import merge, transitions, validation
from services.scheduler.domain.change import Change, today
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.plan import Plan, Step
from services.scheduler.pieces import WHOLE, Known, Piece
from services.scheduler.reading import Reader
from services.scheduler.storage import clinics, definition, plans
from services.scheduler.storage.clinics import Clinic
from services.scheduler.storage.plans import Names, Stored
from shared.crypto import FieldCipher
from shared.errors import DomainError
from shared.messaging.unit import Unit


@dataclass(frozen=True)
class Outcome:
    """What a command did. `events` are the types said, in the order of their versions; the last has `version`."""

    patient_id: UUID
    outcome: str
    plan: Plan
    events: tuple[str, ...] = ()


@contextmanager
def answered() -> Iterator[None]:
    """The domain's refusals as the edge knows them."""
    try:
        yield
    except Refused as no:
        raise DomainError(no.element, no.reason, accepted=no.accepted, status=409 if no.conflict else 422) from no


async def put_clinic(unit: Unit, clinic: Clinic) -> None:
    """The clinic's zone, routine and own numbers; they count for what is planned from now on."""
    with answered():
        if clinic.zone is not None:
            validation.check_zone(clinic.zone, "zone")
    numbers.check_own(clinic.numbers)
    await unit.lock(clinic.id)
    await clinics.save(unit.conn, clinic, unit.now)


@dataclass(frozen=True)
class Statement:
    """A plan as the clinic states it, read and found possible. `base`: the statement put before, where there is one."""

    plan: Plan
    names: Names
    row: Stored | None
    clinic: Clinic
    base: Plan | None = None


async def state(
    conn: AsyncConnection, cipher: FieldCipher, clinic_id: UUID, patient_id: UUID, external: str | None, body: bodies.PlanBody
) -> Statement:
    """Reads and checks a statement against what is stored; writes nothing. Raises DomainError 404, 409 or 422."""
    clinic = (await clinics.load(conn, [clinic_id]))[clinic_id]
    row = (await plans.load(conn, [patient_id])).get(patient_id)
    return read(clinic, row, cipher, patient_id, external, body)


def read(
    clinic: Clinic,
    row: Stored | None,
    cipher: FieldCipher,
    patient_id: UUID,
    external: str | None,
    body: bodies.PlanBody,
    piece: Piece = WHOLE,
) -> Statement:
    """As `state`, with the stored row at hand (None: no plan yet)."""
    _own(row, clinic.id)
    names = plans.open_names(row, cipher) if row else None
    with answered():
        known = Known(definition.from_json(row.stated), row.plan, names) if row and names else None
        reader = Reader(patient_id, clinic, external or (names.patient if names else None))
        plan = pieces.statement(reader, body, piece, known)
        validation.check(pieces.in_callers_order(plan, reader), numbers.limits(clinic.numbers))
        telling.check(plan, reader.names)
    return Statement(plan, reader.names, row, clinic, known.base if known else None)


def _own(row: Stored | None, clinic_id: UUID) -> None:
    """Another clinic's patient does not exist for this one."""
    if row is not None and row.clinic_id != clinic_id:
        raise DomainError("id", "There is no such patient.", accepted="a patient of this clinic", status=404)


def decide_put(statement: Statement, now: datetime) -> tuple[str, Change]:
    """What putting a statement means now: started, changed or unchanged."""
    row, plan, base = statement.row, statement.plan, statement.base
    if row is None or base is None:
        return "started", _asked_for(plan, transitions.start(plan, now, above=statement.clinic.version_base), now)
    if base != plan and row.plan.status in ("stopped", "completed"):
        return "started", _asked_for(plan, transitions.start(plan, now, row.plan), now)
    change = merge.put_again(row.plan, base, plan, now)
    if base.status != plan.status:
        change = _asked_for(plan, change, now)
    return ("changed" if change.facts or base != plan else "unchanged"), change


def _asked_for(plan: Plan, change: Change, now: datetime) -> Change:
    """Paused or resumed, where the statement asks for that."""
    if plan.status == change.plan.status:
        return change
    paused = plan.status == "paused"
    after = transitions.pause(change.plan, now, merge.PLAN_CHANGED, None) if paused else transitions.resume(change.plan, now)
    return Change(after.plan, (*change.facts, *after.facts))


@dataclass(frozen=True)
class Decided:
    """What a statement means. `row` None: nothing is to be written."""

    outcome: str
    change: Change
    row: Stored | None


def decide(statement: Statement, cipher: FieldCipher, now: datetime) -> Decided:
    """What is to be written for a statement. Raises DomainError."""
    with answered():
        outcome, change = decide_put(statement, now)
    if outcome == "unchanged" and statement.row is not None and _same_names(statement, cipher):
        return Decided(outcome, change, None)
    sealed = plans.seal_names(_all_names(statement, cipher), cipher, change.plan.patient_id)
    row = statement.row or Stored(statement.clinic.id, change.plan, stated={}, names=sealed, numbers=statement.clinic.numbers)
    row = replace(row, stated=definition.to_json(statement.plan), names=sealed, plan=change.plan)
    return Decided("changed" if outcome == "unchanged" else outcome, change, row)


async def put_plan(unit: Unit, clinic_id: UUID, patient_id: UUID, external: str | None, body: bodies.PlanBody) -> Outcome:
    """Starts a plan or brings it to a new statement. The same statement again changes nothing, not even after a dose change."""
    await unit.lock(patient_id)
    statement = await state(unit.conn, unit.cipher, clinic_id, patient_id, external, body)
    decided = decide(statement, unit.cipher, unit.now)
    if decided.row is None:
        return Outcome(patient_id, decided.outcome, decided.change.plan)
    if statement.row is not None:
        await versions.catch_up(unit, [statement.row])
    return await _save(unit, decided.row, decided.change, decided.outcome)


def _same_names(statement: Statement, cipher: FieldCipher) -> bool:
    assert statement.row is not None, "only a stored plan has names to compare"
    return _all_names(statement, cipher) == plans.open_names(statement.row, cipher)


def _all_names(statement: Statement, cipher: FieldCipher) -> Names:
    """Names of what the statement no longer holds stay: stopped medicines are still on record."""
    if statement.row is None:
        return statement.names
    known, new = plans.open_names(statement.row, cipher), statement.names
    return Names(new.patient or known.patient, {**known.medicines, **new.medicines}, {**known.elements, **new.elements})


async def _save(unit: Unit, row: Stored, change: Change, outcome: str) -> Outcome:
    if change.facts:
        await versions.save(unit, [versions.moved(row, change)])
    else:
        await plans.save(unit.conn, [row], unit.now)
    return Outcome(row.plan.patient_id, outcome, change.plan, tuple(events.type_of(fact) for fact in change.facts))


#: Decides with the plan row at hand; a Reader turns the caller's ids into ours.
Decide = Callable[[Plan, Reader], Change]


async def change(unit: Unit, clinic_id: UUID, patient_id: UUID, external: str | None, decide: Decide) -> Outcome:
    """Any command on a plan that there is. 404 where there is none, 409 where its state is in the way, 422 for the rest."""
    await unit.lock(patient_id)
    found = (await plans.load(unit.conn, [patient_id])).get(patient_id)
    _own(found, clinic_id)
    if found is None:
        raise DomainError("id", "This patient has no plan.", accepted="a patient whose plan has been put", status=404)
    row = (await versions.catch_up(unit, [found]))[patient_id]
    clinic = (await clinics.load(unit.conn, [clinic_id]))[clinic_id]
    names = plans.open_names(row, unit.cipher)
    reader = Reader(patient_id, clinic, names.patient or external)
    with answered():
        after = decide(row.plan, reader)
        called = {**names.medicines, **reader.medicines}
        after = after._replace(plan=pieces.beside_each_other(row.plan, after.plan, called))
        if after.plan != row.plan:
            validation.check(after.plan, numbers.limits(clinic.numbers))
    if not after.facts:
        return Outcome(patient_id, "unchanged", row.plan)
    added = Names(reader.patient, {**names.medicines, **reader.medicines}, {**names.elements, **reader.elements})
    sealed = row.names if added == names else plans.seal_names(added, unit.cipher, patient_id)
    return await _save(unit, replace(row, names=sealed), after, "changed")


def dose_change(body: bodies.DoseChangeBody, now: datetime) -> Decide:
    """A new ladder from `effective_on` on; with `taper` one that ends."""

    def decide(plan: Plan, reader: Reader) -> Change:
        medicine = reader.medicine_id(body.medicine, "medicine")
        steps = _ladder(body)
        validation.check_steps(steps, plan, "steps" if body.steps is not None else "doses")
        if body.taper:
            return transitions.start_taper(plan, now, medicine, steps, body.ends_on)
        return transitions.change_dose(plan, now, medicine, steps, events.reason_code(body.reason))

    return decide


def _ladder(body: bodies.DoseChangeBody) -> tuple[Step, ...]:
    if (body.steps is None) == (body.doses is None):
        raise Refused("steps", "one of steps and doses says what is taken", accepted="either steps or doses")
    stated = body.steps if body.steps is not None else [bodies.StepBody(doses=body.doses or [])]
    if not stated or stated[0].from_day != 1:
        raise Refused("steps[0].from_day", "the first step begins on effective_on", accepted="1")
    if body.ends_on is not None and not body.taper:
        raise Refused("ends_on", "only a taper ends by itself here", accepted="ends_on together with taper")
    return reading.steps_of(stated, body.effective_on)


def add_medicine(body: bodies.MedicineChangeBody, now: datetime) -> Decide:
    def decide(plan: Plan, reader: Reader) -> Change:
        medicine = reader.medicine(body.medicine, _start(body, plan, now), "medicine", [])
        if plan.medicine(medicine.id) is not None:
            raise Refused("medicine.id", "the plan has this medicine", accepted="a new id, or a dose change", conflict=True)
        return transitions.add_medicine(plan, now, medicine)

    return decide


def switch_medicine(body: bodies.SwitchBody, now: datetime) -> Decide:
    def decide(plan: Plan, reader: Reader) -> Change:
        old = reader.medicine_id(body.from_medicine, "from_medicine")
        medicine = reader.medicine(body.medicine, _start(body, plan, now), "medicine", [])
        if plan.medicine(medicine.id) is not None:
            raise Refused("medicine.id", "the plan has this medicine", accepted="a new id", conflict=True)
        return transitions.switch_medicine(plan, now, old, medicine)

    return decide


def _start(body: bodies.MedicineChangeBody, plan: Plan, now: datetime) -> date:
    """A medicine that joins a plan later has its own day 1: today, unless it says."""
    return body.medicine.starts_on or today(plan, now)


def remove_medicine(body: bodies.RemoveBody) -> Decide:
    return lambda plan, reader: transitions.remove_medicine(
        plan, reader.medicine_id(body.medicine, "medicine"), events.reason_code(body.reason)
    )


def put_appointment(raw: str, body: bodies.AppointmentBody) -> Decide:
    return lambda plan, reader: transitions.put_appointment(plan, reader.appointment(raw, body, plan.zone, ""))


def appointment_outcome(raw: str, body: bodies.OutcomeBody) -> Decide:
    return lambda plan, reader: transitions.record_outcome(
        plan, reader.element_id("appointment", raw), body.outcome, events.reason_code(body.reason)
    )


def monitoring_result(raw: str, body: bodies.ResultBody, now: datetime) -> Decide:
    return lambda plan, reader: transitions.record_result(plan, now, reader.element_id("monitoring", raw), body.recorded_on)


def zone(body: bodies.ZoneBody, now: datetime) -> Decide:
    def decide(plan: Plan, reader: Reader) -> Change:
        validation.check_zone(body.zone, "zone")
        return transitions.change_zone(plan, now, body.zone)

    return decide
