"""Alerts: raised once per cause, paged from person to person, acknowledged for good (P20, R49-R51 of reliability.md).

An alert is stored, said and given its deadline in the transaction of its cause: there is no moment in which one exists and
nobody is going to hear of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, cast
from uuid import UUID, uuid4

from services.adherence.commands.policy import policy_for
from services.adherence.commands.voice import Because, say
from services.adherence.domain import alerts as domain
from services.adherence.domain.alerts import Alert, Chain, Moved, Why
from services.adherence.domain.policy import Severity
from services.adherence.storage import alerts, people
from services.adherence.storage.people import Clinic, Member, Patient
from shared.errors import DomainError
from shared.events.adherence import (
    AlertAcknowledgedV1,
    AlertEscalatedV1,
    AlertEvent,
    AlertKind,
    AlertRaisedV1,
    AlertResolvedV1,
    AlertSnapshot,
)
from shared.messaging.unit import Unit
from shared.ops import ops_say
from shared.restore.words import RememberingUnit

DEADLINE = "alert-deadline"
How = Literal["sms", "board", "api"]
#: Of two machines; a service is unready beyond 2 s.
_CLOCKS_APART = timedelta(seconds=5)


@dataclass(frozen=True)
class Cause:
    """What an alert is about. An open alert of the same key takes another one in; with `once` an acknowledged one does too.

    `alert_id` is the id of a new one, where the caller has named it already.
    """

    kind: AlertKind
    key: str
    occurrence_id: UUID | None = None
    no_text_possible: bool = False
    once: bool = False
    alert_id: UUID | None = None


async def raise_alert(
    unit: Unit, patient: Patient, cause: Cause, because: Because = None, *, known: Sequence[Alert] | None = None
) -> bool:
    """Whether it is a new one. `known`: what is unresolved of the cause, where that has been read already: in this transaction,
    under the patient's lock, and nothing of the cause raised since."""
    if _told(unit, lambda said: said.dedup_key == cause.key, lambda said, _at: said.raised_at):
        return False
    if known is None:
        known = await alerts.unresolved(unit, patient.clinic_id, cause.key)
    if known and (cause.once or known[0].state == "open"):
        if cause.no_text_possible and not known[0].no_text_possible:
            await remind(unit, patient, known[0], because=because, no_text_possible=True)
        return False
    clinic = await people.clinic(unit, patient.clinic_id)
    policy = policy_for(clinic)
    moved = domain.raised(_fresh(unit, patient, clinic, cause, policy.severity(cause.kind)), unit.now, policy)
    code = await alerts.add(unit, patient.clinic_id, patient.id, moved.alert)
    alert = replace(moved.alert, code=code)
    event = AlertRaisedV1(clinic_id=patient.clinic_id, patient_id=patient.id, alert_version=alert.version, alert=snapshot(alert))
    await say(unit, event, because=because, occurrence_id=cause.occurrence_id)
    await _plan(unit, patient.clinic_id, patient.id, alert, ops_hears=moved.ops_hears)
    return True


def _told(unit: Unit, about: Callable[[AlertSnapshot], bool], when: Callable[[AlertSnapshot, datetime], datetime]) -> bool:
    """On the way back from a restored database (restore.py): whether such an alert was said at or after what is heard again now.
    Then this has had its effect, whatever has become of the alert since."""
    if not isinstance(unit, RememberingUnit):
        return False
    since = unit.cause.time - _CLOCKS_APART if unit.cause is not None else datetime.min.replace(tzinfo=UTC)
    said = ((one.event.alert, one.envelope.time) for one in unit.words.all if isinstance(one.event, AlertEvent))
    return any(about(alert) and when(alert, at) >= since for alert, at in said)


def _fresh(unit: Unit, patient: Patient, clinic: Clinic, cause: Cause, severity: Severity) -> Alert:
    return Alert(
        id=cause.alert_id or uuid4(),
        kind=cause.kind,
        severity=severity,
        dedup_key=cause.key,
        chain=chain_for(cause.kind, patient, clinic),
        raised_at=unit.now,
        occurrence_id=cause.occurrence_id,
        no_text_possible=cause.no_text_possible,
    )


def chain_for(kind: str, patient: Patient, clinic: Clinic) -> Chain:
    """The snapshot. A crisis goes to the patient's own team, then to the clinic's crisis chain; a gap to prescribers first."""
    team = patient.chain or clinic.chain
    on_call = clinic.chain
    if kind == "crisis":
        on_call = clinic.crisis_chain or clinic.chain
        team = _without_repeats([*(patient.chain or ()), *on_call])
    if kind in {"dose-gap", "plan-review"}:
        team = tuple(sorted(team, key=lambda member: member.role != "prescriber"))
    return Chain(tuple(member.turn for member in team), tuple(member.turn for member in on_call))


def _without_repeats(members: Sequence[Member]) -> tuple[Member, ...]:
    return tuple({member.person: member for member in reversed(members)}.values())[::-1]


def snapshot(alert: Alert) -> AlertSnapshot:
    """What readers keep of it."""
    return AlertSnapshot(
        alert_id=alert.id,
        code=alert.code,
        kind=cast("AlertKind", alert.kind),
        severity=alert.severity,
        state=alert.state,
        dedup_key=alert.dedup_key,
        recipient_id=alert.recipient,
        step=alert.step,
        deadline_at=alert.deadline_at,
        raised_at=alert.raised_at,
        occurrence_id=alert.occurrence_id,
        no_text_possible=alert.no_text_possible,
    )


async def _plan(unit: Unit, clinic_id: UUID, patient_id: UUID, alert: Alert, *, ops_hears: bool) -> None:
    if alert.deadline_at is None:
        await unit.drop_work(DEADLINE, str(alert.id))
    else:
        await unit.plan_work(DEADLINE, str(alert.id), alert.deadline_at, key=patient_id, clinic_id=clinic_id)
    if ops_hears:
        told: dict[str, str | int] = {"alert": str(alert.id), "severity": alert.severity, "step": alert.step}
        await ops_say(unit, "alert-unanswered", told, dedup=f"{alert.id}:{alert.version}", clinic_id=clinic_id)


async def _moved(unit: Unit, clinic_id: UUID, patient_id: UUID, moved: Moved | None, because: Because) -> None:
    if moved is None:
        return
    alert = moved.alert
    await alerts.save(unit, alert)
    event = AlertEscalatedV1(
        clinic_id=clinic_id, patient_id=patient_id, alert_version=alert.version, alert=snapshot(alert), why=moved.why
    )
    await say(unit, event, because=because, occurrence_id=alert.occurrence_id)
    await _plan(unit, clinic_id, patient_id, alert, ops_hears=moved.ops_hears)


async def remind(unit: Unit, patient: Patient, alert: Alert, *, because: Because = None, no_text_possible: bool = False) -> None:
    """Pages the first of the chain of an open alert again."""
    clinic = await people.clinic(unit, patient.clinic_id)
    moved = domain.reminded(alert, unit.now, policy_for(clinic), no_text_possible=no_text_possible)
    await _moved(unit, patient.clinic_id, patient.id, moved, because)


async def _locked(unit: Unit, alert_id: UUID) -> tuple[UUID, UUID, Alert] | None:
    """The alert under its patient's lock: an event keyed by the clinic does not hold it yet."""
    owner = await alerts.owner(unit, alert_id)
    if owner is None:
        return None
    await unit.lock(owner[1])
    alert = await alerts.get(unit, alert_id)
    return None if alert is None else (*owner, alert)


async def deadlines_passed(unit: Unit, alert_ids: Sequence[UUID]) -> None:
    """Nobody acknowledged in time: the next one's turn. Nothing where the deadline has moved or the alert no longer runs. The
    ticker holds the locks: the work is planned under the patient's key."""
    held = await alerts.held(unit, alert_ids)
    late = [
        held[each]
        for each in alert_ids
        if each in held and (deadline := held[each][2].deadline_at) is not None and deadline <= unit.now
    ]
    clinics = {clinic_id: await people.clinic(unit, clinic_id) for clinic_id in {clinic_id for clinic_id, _, _ in late}}
    for found in late:
        await _escalate(unit, found, clinics[found[0]], "deadline", DEADLINE)


async def text_did_not_go(unit: Unit, alert_id: UUID, person_id: UUID | None) -> None:
    """The page to this person could not go or did not arrive: the next one's turn at once, if it is still this one's."""
    found = await _locked(unit, alert_id)
    if found is None or person_id is None or found[2].recipient != person_id:
        return
    if _told(unit, lambda said: said.alert_id == alert_id, lambda _said, at: at):
        return
    await _escalate(unit, found, await people.clinic(unit, found[0]), "withheld", None)


async def _escalate(unit: Unit, found: tuple[UUID, UUID, Alert], clinic: Clinic, why: Why, because: Because) -> None:
    clinic_id, patient_id, alert = found
    moved = domain.escalated(alert, unit.now, why, policy_for(clinic))
    await _moved(unit, clinic_id, patient_id, moved, because)


async def acknowledge(unit: Unit, alert_id: UUID, *, by: UUID | None, how: How, clinic_id: UUID | None = None) -> Alert:
    """Stops all pages for good. Acknowledged already: the same answer, nothing said. DomainError 404, or 409 once resolved."""
    clinic, patient_id, alert = await _mine(unit, alert_id, clinic_id)
    if alert.state == "resolved":
        raise DomainError("alert", "this alert is resolved", accepted="an open alert", status=409)
    acked = domain.acknowledged(alert)
    if acked is None:
        return alert
    await alerts.save(unit, acked, by)
    event = AlertAcknowledgedV1(
        clinic_id=clinic, patient_id=patient_id, alert_version=acked.version, alert=snapshot(acked), by=by, how=how
    )
    await say(unit, event, occurrence_id=acked.occurrence_id)
    await unit.drop_work(DEADLINE, str(alert_id))
    return acked


async def resolve(
    unit: Unit,
    alert_id: UUID,
    *,
    by: UUID | None,
    how: Literal["sms", "board", "api", "answered", "corrected"],
    clinic_id: UUID | None = None,
    because: Because = None,
) -> Alert:
    """Ends it. Resolved already: the same answer, nothing said. DomainError 404."""
    clinic, patient_id, alert = await _mine(unit, alert_id, clinic_id)
    done = domain.resolved(alert)
    if done is None:
        return alert
    await alerts.save(unit, done, by)
    event = AlertResolvedV1(
        clinic_id=clinic, patient_id=patient_id, alert_version=done.version, alert=snapshot(done), by=by, how=how
    )
    await say(unit, event, because=because, occurrence_id=done.occurrence_id)
    await unit.drop_work(DEADLINE, str(alert_id))
    return done


async def _mine(unit: Unit, alert_id: UUID, clinic_id: UUID | None) -> tuple[UUID, UUID, Alert]:
    found = await _locked(unit, alert_id)
    if found is None or (clinic_id is not None and found[0] != clinic_id):
        raise DomainError("alert", "there is no such alert", accepted="the id of an alert of this clinic", status=404)
    return found


async def resolve_cause(
    unit: Unit,
    clinic_id: UUID,
    dedup_key: str,
    how: Literal["answered", "corrected"],
    because: Because = None,
    *,
    known: Sequence[Alert] | None = None,
) -> None:
    """Resolves what is unresolved of a cause that is no more: the answer came late, the patient can be reached again. `known` as
    for `raise_alert`."""
    for alert in await alerts.unresolved(unit, clinic_id, dedup_key) if known is None else known:
        await resolve(unit, alert.id, by=None, how=how, because=because)
