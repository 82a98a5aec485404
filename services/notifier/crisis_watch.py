"""Watches that somebody takes over each risk wording: no crisis-flagged within 2 minutes, and the notifier pages the clinic's own
crisis contact, under the alert's dedup key, again and again until it is flagged (DESIGN.md rule 6)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from services.notifier import replies
from services.notifier.storage.clinics import clinics
from services.notifier.storage.contact_rows import Contact
from shared.defaults import default
from shared.messaging.unit import Unit
from shared.messaging.work import WorkItem
from shared.ops import ops_say

WATCH = "crisis-watch"


def dedup_key(patient_id: UUID) -> str:
    """The dedup key of a patient's crisis alert, the same as adherence's."""
    return f"crisis:{patient_id}"


async def begin(unit: Unit, known: Contact, reply_id: UUID, *, no_text: bool) -> None:
    due = unit.now + default("notifier", "crisis_watch")
    data = {"nth": 0, "no_text": no_text}
    await unit.plan_work(WATCH, str(reply_id), due, key=known.id, clinic_id=known.clinic_id, data=data)


async def end(unit: Unit, reply_id: UUID) -> None:
    """Adherence has it: the alert is there and escalates by itself."""
    await unit.drop_work(WATCH, str(reply_id))


async def fire(unit: Unit, items: Sequence[WorkItem]) -> None:
    """Nobody has said that they have it. The page is clinical and goes at any hour; ops hears too, once a risk wording."""
    known = await clinics(unit, {item.clinic_id for item in items})
    for item in items:
        nth, reply_id = int(item.data.get("nth", 0)), UUID(item.ref)
        of_clinic = known.get(item.clinic_id)
        if of_clinic is not None:
            await replies.crisis_unanswered(
                unit,
                of_clinic,
                dedup_key=f"{dedup_key(item.key)}/{reply_id}",
                nth=nth,
                patient_id=item.key,
                reply_id=reply_id,
                no_text=bool(item.data.get("no_text")),
            )
        await ops_say(unit, "crisis-not-flagged", {"reply": item.ref}, dedup=item.ref, clinic_id=item.clinic_id)
        again = unit.now + default("notifier", "crisis_watch_again")
        await unit.plan_work(WATCH, item.ref, again, key=item.key, clinic_id=item.clinic_id, data={**item.data, "nth": nth + 1})
