"""What the scheduler hears: that a text about an occurrence has begun, follow-ups that are settled, medicines that are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from services.scheduler import events, versions
from services.scheduler.domain import lateness
from services.scheduler.domain.transitions import settle_follow_up
from services.scheduler.storage import occurrences, plans
from services.scheduler.storage.occurrences import Ending, Placed
from services.scheduler.storage.plans import Stored
from shared.events import adherence as a
from shared.events import messages as m
from shared.events.base import Event
from shared.messaging.unit import Handler, Handlers, Unit


async def on_message_begun(
    unit: Unit, event: m.MessageSentV1 | m.MessageDeliveredV1 | m.MessageUndeliveredV1 | m.MessageUnconfirmedV1
) -> None:
    """A text about the occurrence left us, or may have (unconfirmed): it is never said again."""
    if event.occurrence_id is not None and event.person_id is None:
        unit.later(_mark_sent, event.occurrence_id)


async def _mark_sent(unit: Unit, ids: Sequence[UUID]) -> None:
    """All texts of a batch at once: at eight o'clock hundreds come in one."""
    await occurrences.mark_sent(unit.conn, ids, unit.now)


async def on_message_withheld(unit: Unit, event: m.MessageWithheldV1) -> None:
    """No text went. For an old plan version what still holds is said again under the current one; for all else that is it."""
    if event.occurrence_id is None or event.person_id is not None:
        return
    found = await occurrences.find(unit.conn, event.occurrence_id)
    if found is None or found[1] != "said":
        return
    placed = found[0]
    if event.why == "old-plan-version":
        await _reissue(unit, placed)
    elif event.plan_version is None or event.plan_version >= placed.plan_version:
        await occurrences.end(unit.conn, [Ending(placed.occurrence.id, "closed", event.why)])


async def _reissue(unit: Unit, placed: Placed) -> None:
    """Every new version has reissued or withdrawn it already, so this says the same event again, which changes nothing. It is
    for the case that it does not hold: an occurrence that stands under an older version than the plan."""
    row = (await plans.load(unit.conn, [placed.patient_id])).get(placed.patient_id)
    if row is None or row.plan.status != "active" or not lateness.is_useful(placed.occurrence, unit.now):
        return
    current = replace(placed, plan_version=row.plan.version)
    await versions.say(unit, [current], {placed.patient_id: row.held})


async def on_follow_up_settled(unit: Unit, event: a.FollowUpKeptV1 | a.FollowUpMissedV1) -> None:
    """An outcome is on record: nothing more is due about this follow-up, and what was said and not texted is taken back."""
    row = (await plans.load(unit.conn, [event.patient_id])).get(event.patient_id)
    if row is None or event.follow_up_id in row.plan.settled:
        return
    settled = replace(row, plan=settle_follow_up(row.plan, event.follow_up_id, settled=True))
    await plans.save(unit.conn, [settled], unit.now)
    await occurrences.delete_planned(unit.conn, [event.patient_id], event.follow_up_id)
    said = await occurrences.said(unit.conn, event.patient_id, unit.now)
    await _take_back(unit, row, [one for one in said if one.occurrence.series_id == event.follow_up_id], "settled")


async def on_hold(unit: Unit, event: a.AskingHeldV1 | a.AskingResumedV1) -> None:
    """While a medicine is held nobody is asked to take it. State under its own version: an older word changes nothing."""
    row = (await plans.load(unit.conn, [event.patient_id])).get(event.patient_id)
    medicine = str(event.medication_id)
    if row is None or row.holds.get(medicine, {}).get("version", 0) >= event.hold_version:
        return
    held = isinstance(event, a.AskingHeldV1)
    holds = {**row.holds, medicine: {"version": event.hold_version, "held": held}}
    await plans.save(unit.conn, [replace(row, holds=holds)], unit.now)
    if held:
        said = await occurrences.said(unit.conn, event.patient_id, unit.now)
        # The whole slot is taken back, also where another medicine shares it: asking to take what is held would be worse.
        await _take_back(unit, row, [one for one in said if _asks_for(one, medicine)], "asking-held")


def _asks_for(one: Placed, medicine: str) -> bool:
    return any(dose["medication_id"] == medicine for dose in one.occurrence.detail.get("doses", ()))


async def _take_back(unit: Unit, row: Stored, said: list[Placed], reason: str) -> None:
    for one in said:
        kind, occurrence = one.occurrence.kind, one.occurrence.id
        event = events.withdrawn_event(row.clinic_id, one.patient_id, occurrence, kind, one.plan_version, reason)
        unit.emit(event, event_id=events.withdrawn_id(occurrence, one.plan_version))
    await occurrences.end(unit.conn, [Ending(one.occurrence.id, "withdrawn", reason) for one in said])


def _sees_all(handler: Handler[Any]) -> Handler[Any]:
    """Reads what stands of occurrences, with what was left for later of the events before it in the batch."""

    async def seeing(unit: Unit, event: Event) -> None:
        await unit.write_left()
        await handler(unit, event)

    return seeing


HANDLERS: Handlers = {
    m.MessageSentV1: on_message_begun,
    m.MessageDeliveredV1: on_message_begun,
    m.MessageUndeliveredV1: on_message_begun,
    m.MessageUnconfirmedV1: on_message_begun,
    m.MessageWithheldV1: _sees_all(on_message_withheld),
    a.FollowUpKeptV1: _sees_all(on_follow_up_settled),
    a.FollowUpMissedV1: _sees_all(on_follow_up_settled),
    a.AskingHeldV1: _sees_all(on_hold),
    a.AskingResumedV1: _sees_all(on_hold),
}
