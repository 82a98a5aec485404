"""Due work: windows that close, deadlines that pass, reminders. One fire per kind; what is due is looked at afresh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from services.adherence.commands import alerts, followups, outcomes, reach, watch
from services.adherence.storage import followups as follow_up_rows
from services.adherence.storage import people
from shared.defaults import default
from shared.due import Fires, WorkItem
from shared.messaging.unit import Unit
from shared.messaging.work import KEY_PARKED


async def close_windows(unit: Unit, items: Sequence[WorkItem]) -> None:
    """Closes each window, or, where an outage let it fire late, first waits a moment for what other topics say of it."""
    ready: list[WorkItem] = []
    for item in items:
        late = unit.now - item.due_at > default("adherence", "late_by")
        if late and not item.data.get("waited"):
            again = unit.now + default("adherence", "late_by")
            await unit.plan_work(item.kind, item.ref, again, key=item.key, clinic_id=item.clinic_id, data={"waited": True})
        else:
            ready.append(item)
    for row in _rounds(ready):
        await outcomes.close_windows(unit, [UUID(item.ref) for item in row])


def _rounds(items: Sequence[WorkItem]) -> list[list[WorkItem]]:
    """The items of one patient one after the other, as they came; those of different patients side by side."""
    rows: list[list[WorkItem]] = []
    before: Counter[UUID] = Counter()
    for item in items:
        if before[item.key] == len(rows):
            rows.append([])
        rows[before[item.key]].append(item)
        before[item.key] += 1
    return rows


async def pass_follow_up_deadlines(unit: Unit, items: Sequence[WorkItem]) -> None:
    for item in items:
        one = await follow_up_rows.get(unit, UUID(item.ref))
        if one is not None and not one.deadline_passed and one.expected:
            await followups.deadline_passed(unit, one, followups.GUARD)


async def pass_alert_deadlines(unit: Unit, items: Sequence[WorkItem]) -> None:
    await alerts.deadlines_passed(unit, [UUID(item.ref) for item in items])


async def remind_of_crisis_pauses(unit: Unit, items: Sequence[WorkItem]) -> None:
    for item in items:
        await reach.remind_of_pause(unit, item.clinic_id, UUID(item.ref))


async def check_gaps(unit: Unit, items: Sequence[WorkItem]) -> None:
    for item in items:
        patient = await people.patient(unit, item.clinic_id, item.key)
        await watch.check_gap(unit, patient, UUID(item.ref), watch.GAP_CHECK)


async def pass_monitoring_deadlines(unit: Unit, items: Sequence[WorkItem]) -> None:
    for item in items:
        await followups.monitoring_deadline(unit, UUID(item.ref))


async def tell_of_parked_keys(unit: Unit, items: Sequence[WorkItem]) -> None:
    for item in items:
        await reach.key_still_parked(unit, item.clinic_id, item.key)


FIRES: Fires = {
    KEY_PARKED: tell_of_parked_keys,
    "dose-window": close_windows,
    "check-in-window": close_windows,
    followups.GUARD: pass_follow_up_deadlines,
    alerts.DEADLINE: pass_alert_deadlines,
    reach.REMINDER: remind_of_crisis_pauses,
    watch.GAP_CHECK: check_gaps,
    followups.MONITORING: pass_monitoring_deadlines,
}
