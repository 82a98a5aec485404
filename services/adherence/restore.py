"""Adherence's part of the way back from a restored database (docs/operations/restore.md).

What it heard since the backup it hears again, and finds the same: outcomes are functions of the facts. What it said is in its own
topic: alerts, holds, requests and people's words are taken over from there before anything is heard again, so that nothing is
raised, asked or said a second time; the timeline gets its own lines back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Literal, cast
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.adherence.commands import outcomes, watch
from services.adherence.commands.alerts import DEADLINE, chain_for
from services.adherence.domain.followups import Word
from services.adherence.domain.silence import Fact
from services.adherence.storage import alerts as alert_rows
from services.adherence.storage import followups as follow_up_rows
from services.adherence.storage import people, records, timeline
from services.adherence.storage.followups import FollowUp
from services.adherence.storage.people import Hold
from services.adherence.storage.tables import alerts, holds, requests
from shared.events.adherence import (
    AdherenceFact,
    AlertAcknowledgedV1,
    AlertEvent,
    AlertResolvedV1,
    AskingHeldV1,
    AskingResumedV1,
    CheckInAnsweredV1,
    CheckInMissedV1,
    CheckInUnaskedV1,
    CrisisFlaggedV1,
    DoseMissedV1,
    DoseOutcome,
    DoseSkippedV1,
    DoseTakenV1,
    DoseUnknownV1,
    FollowUpKeptV1,
    FollowUpMissedV1,
    HoldEvent,
    MessageRequestedV1,
)
from shared.events.base import Event
from shared.messaging.unit import Unit
from shared.restore.mode import Restored
from shared.restore.own import Said
from shared.restore.words import RememberingUnit, RestatingUnit, Words
from shared.runtime import Runtime

_CLOSED = (DoseUnknownV1, CheckInMissedV1, CheckInUnaskedV1)
_CORRECTED: Mapping[type[DoseOutcome], str] = {DoseTakenV1: "taken", DoseSkippedV1: "skipped", DoseMissedV1: "missed"}


class AdherenceRecollection:
    """See the module."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def listens(self) -> Mapping[type[Event], Callable[[Event], None]]:
        return {}

    def identity(self, event: Event) -> Hashable | None:
        """An outcome of an occurrence or a follow-up is one statement, whenever it is found. Alerts and holds are state."""
        if not isinstance(event, AdherenceFact) or isinstance(event, CrisisFlaggedV1 | MessageRequestedV1):
            return None
        about = getattr(event, "follow_up_id", None) or getattr(event, "occurrence_id", None) or event.patient_id
        if isinstance(event, CheckInAnsweredV1):
            return event.type, about, event.item, event.score
        return event.type, about, getattr(event, "reply_id", None)

    def highest_version(self, words: Words) -> int:
        found = [one.event.alert_version for one in words.all if isinstance(one.event, AlertEvent)]
        found += [one.event.hold_version for one in words.all if isinstance(one.event, HoldEvent)]
        return max(found, default=0)

    async def learn(self, words: Words, restored: Restored) -> None:
        for one in words.all:
            async with self._runtime.unit() as unit:
                await unit.lock(one.event.key)
                await _learn(unit, one)

    async def reconcile(self, words: Words, restored: Restored) -> None:
        """Windows that had closed are closed again, under what was said then."""
        for one in words.all:
            if isinstance(one.event, _CLOSED):
                async with self._runtime.unit() as unit:
                    await unit.lock(one.event.key)
                    await _close(RememberingUnit(unit, words), one.event.occurrence_id)

    async def restate(self, words: Words, restored: Restored) -> Mapping[str, int]:
        """Holds say themselves again. An alert's next word is above every other; what readers have is what was said last."""
        async with self._runtime.unit() as unit:
            raised = update(alerts).where(alerts.c.state != "resolved")
            await unit.conn.execute(raised.values(version=func.greatest(alerts.c.version, restored.version_base)))
            found = (await unit.conn.execute(select(holds.c.medication_id, holds.c.patient_id))).all()
        for row in found:
            async with self._runtime.unit() as unit:
                await unit.lock(row.patient_id)
                await _restate_hold(RestatingUnit(unit), row.medication_id, restored)
        known = {one.event.alert.alert_id for one in words.all if isinstance(one.event, AlertEvent)}
        return {"alerts_from_own_words": len(known), "holds": len(found)}


async def _learn(unit: Unit, one: Said) -> None:
    event, envelope = one.event, one.envelope
    occurrence = getattr(event, "occurrence_id", None)
    line = timeline.line(
        event,
        event_id=envelope.id,
        at=envelope.time,
        occurrence_id=occurrence,
        causation_id=envelope.causation_id,
        cause=None,
    )
    await timeline.remember(unit, [line])
    if isinstance(event, AlertEvent):
        await _learn_alert(unit, event, one)
    elif isinstance(event, HoldEvent):
        await _learn_hold(unit, event)
    elif isinstance(event, MessageRequestedV1):
        row: dict[str, Any] = {"request_id": event.request_id, "clinic_id": event.clinic_id, "patient_id": event.patient_id}
        row |= {"occurrence_id": event.occurrence_id, "item": event.item}
        await unit.conn.execute(insert(requests).values(row).on_conflict_do_nothing())
    elif isinstance(event, FollowUpKeptV1 | FollowUpMissedV1) and event.source == "person":
        about = FollowUp(event.follow_up_id, event.clinic_id, event.patient_id, event.at)
        outcome: Literal["kept", "missed"] = "kept" if isinstance(event, FollowUpKeptV1) else "missed"
        await follow_up_rows.add_word(unit, about, Word(envelope.id, "person", outcome, event.at))
    elif type(event) in _CORRECTED and envelope.causation_id is None and occurrence is not None:
        # Caused by no event: a person has put it right.
        value, reason = _CORRECTED[cast("type[DoseOutcome]", type(event))], getattr(event, "reason", None)
        fact = Fact(envelope.id, "correction", cast("DoseOutcome", event).at, value, reason)
        await records.hear(unit, [records.Heard(event.clinic_id, event.key, occurrence, fact)])


async def _learn_alert(unit: Unit, event: AlertEvent, one: Said) -> None:
    """The row as this version says it, where it is newer. The chain is made afresh: no event holds it."""
    known = await alert_rows.get(unit, event.alert.alert_id)
    if event.patient_id is None or (known is not None and known.version >= event.alert_version):
        return
    said, at = event.alert, one.envelope.time
    moving: dict[str, Any] = {
        "state": said.state,
        "step": said.step,
        "recipient_id": said.recipient_id,
        "deadline_at": said.deadline_at if said.state == "open" else None,
        "no_text_possible": said.no_text_possible,
        "version": event.alert_version,
    }
    if isinstance(event, AlertAcknowledgedV1):
        moving |= {"acknowledged_at": at, "acknowledged_by": event.by}
    if isinstance(event, AlertResolvedV1):
        moving |= {"resolved_at": at}
    if known is None:
        patient = await people.patient(unit, event.clinic_id, event.patient_id)
        chain = chain_for(said.kind, patient, await people.clinic(unit, event.clinic_id))
        fixed = {"alert_id": said.alert_id, "clinic_id": event.clinic_id, "patient_id": event.patient_id, "code": said.code}
        fixed |= {name: getattr(said, name) for name in ("kind", "severity", "dedup_key", "raised_at", "occurrence_id")}
        await unit.conn.execute(insert(alerts).values(**fixed, chain=alert_rows.chain_row(chain), **moving))
    else:
        await unit.conn.execute(update(alerts).where(alerts.c.alert_id == said.alert_id).values(**moving))
    if moving["deadline_at"] is None:
        await unit.drop_work(DEADLINE, str(said.alert_id))
    else:
        key, clinic = event.patient_id, event.clinic_id
        await unit.plan_work(DEADLINE, str(said.alert_id), moving["deadline_at"], key=key, clinic_id=clinic)


async def _learn_hold(unit: Unit, event: HoldEvent) -> None:
    known = await people.hold(unit, event.medication_id)
    if known is None or known.version < event.hold_version:
        held = isinstance(event, AskingHeldV1)
        ids = (event.medication_id, event.patient_id, event.clinic_id)
        await people.put_hold(unit, Hold(*ids, event.hold_version, held, event.rule_set, event.at))


async def _close(unit: Unit, occurrence_id: UUID) -> None:
    await outcomes.close_windows(unit, [occurrence_id])
    for kind in outcomes.WINDOW.values():
        await unit.drop_work(kind, str(occurrence_id))


async def _restate_hold(unit: Unit, medication_id: UUID, restored: Restored) -> None:
    hold = await people.hold(unit, medication_id)
    if hold is None:
        return
    version = max(hold.version, restored.version_base) + 1
    again = Hold(hold.medication_id, hold.patient_id, hold.clinic_id, version, hold.held, hold.rule_set, hold.at)
    await people.put_hold(unit, again)
    model = AskingHeldV1 if hold.held else AskingResumedV1
    unit.emit(model(**watch.hold_fields(again)))
