"""The scheduler's part of the way back from a restored database (docs/operations/restore.md).

Its own due.v1 says which occurrences were said, expired or taken back: they are not said again. Its own plans.v1 says which plans
were changed by a command since the backup: what such a change was is in no topic (events hold no prescription), so that plan is
paused, not guessed, and the prescriber hears. Everything else goes on, said again under a version above every other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, select, update

from services.scheduler import versions
from services.scheduler.domain import ladder, timing
from services.scheduler.domain.facts import Fact, PlanPaused, PlanStopped, RoutineChanged
from services.scheduler.domain.plan import Plan
from services.scheduler.storage import plans
from services.scheduler.storage.plans import Stored
from services.scheduler.storage.tables import OCCURRENCE, PLAN
from services.scheduler.versions import Moved
from shared.events.base import Event, stable_id
from shared.events.due import DueEvent, DueExpiredV1, DueWithdrawnV1, OccurrenceDue, ReviewDueV1
from shared.events.plans import (
    AppointmentKeptV1,
    AppointmentMissedV1,
    DoseChangedV1,
    MedicationRemovedV1,
    PlanCompletedV1,
    PlanEvent,
    PlanStoppedV1,
    ResultRecordedV1,
)
from shared.messaging.unit import Unit
from shared.ops import ops_say
from shared.restore.mode import Restored
from shared.restore.own import Said
from shared.restore.words import RestatingUnit, Words, is_restated
from shared.runtime import Runtime

RESTORED = "restored"
_AT_A_TIME = 100


@dataclass(frozen=True)
class Lost:
    """What was said of a patient's plan since the backup: its last state, and whether a person had changed it."""

    last: PlanEvent
    by_a_person: bool


class SchedulerRecollection:
    """See the module."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.listens: Mapping[type[Event], Callable[[Event], None]] = {}

    def identity(self, event: Event) -> Hashable | None:
        """Everything said of an occurrence has a deterministic id; a plan's state is said again on purpose."""
        return None

    def highest_version(self, words: Words) -> int:
        versioned = (one.event for one in words.all if isinstance(one.event, PlanEvent | DueEvent))
        return max((event.plan_version for event in versioned), default=0)

    async def learn(self, words: Words, restored: Restored) -> None:
        """Occurrences as they were last said, before anything else is decided about them."""
        by_patient: dict[UUID, list[Said]] = defaultdict(list)
        for one in words.all:
            if isinstance(one.event, DueEvent):
                by_patient[one.event.patient_id].append(one)
        for patients in _in_groups(await self._everybody()):
            async with self._runtime.unit() as unit:
                await unit.lock(*patients)
                rows = await plans.load(unit.conn, patients)
                await versions.catch_up(unit, list(rows.values()))
                for patient in patients:
                    for said in by_patient.get(patient, ()):
                        await _learn_occurrence(unit, said)

    async def reconcile(self, words: Words, restored: Restored) -> None:
        """Nobody outside Kafka knows anything about plans."""

    async def restate(self, words: Words, restored: Restored) -> Mapping[str, int]:
        lost = _lost(words)
        known = await self._everybody()
        paused = 0
        for patients in _in_groups(known):
            async with self._runtime.unit() as unit:
                await unit.lock(*patients)
                rows = await plans.load(unit.conn, patients)
                moved = [_restated(row, lost.get(patient), restored, unit.now) for patient, row in rows.items()]
                await versions.save(RestatingUnit(unit), moved)
                for one in moved:
                    if _was_lost(one.row, lost):
                        paused += 1
                        await _ask_for_review(unit, one.row, restored)
        gone = [
            one for patient, one in lost.items() if patient not in set(known) and one.last.plan.status in ("active", "paused")
        ]
        await self._stop_unknown(gone, restored)
        return {"plans": len(known), "plans_changed_since": paused, "plans_not_in_the_backup": len(gone)}

    async def _stop_unknown(self, gone: Sequence[Lost], restored: Restored) -> None:
        """Patients enrolled since the backup: nothing will be said due for them, so readers must not wait for it."""
        for one in gone:
            async with self._runtime.unit() as unit:
                last = one.last
                await unit.lock(last.patient_id)
                event = PlanStoppedV1(
                    clinic_id=last.clinic_id,
                    patient_id=last.patient_id,
                    plan_version=restored.version_base,
                    plan=last.plan.model_copy(update={"status": "stopped"}),
                    reason=RESTORED,
                )
                unit.emit(event, event_id=stable_id(last.patient_id, restored.version_base, RESTORED))
                details = {"patient": str(last.patient_id)}
                await ops_say(unit, "restored-plan", details, dedup=str(event.patient_id), clinic_id=last.clinic_id)

    async def _everybody(self) -> list[UUID]:
        async with self._runtime.engine.connect() as conn:
            return list((await conn.execute(select(PLAN.c.patient_id).order_by(PLAN.c.patient_id))).scalars())


#: Lost, they leave the plan as right as it was: time brings the one, the others are on record elsewhere and asked for again.
_HARMLESS = (PlanCompletedV1, ResultRecordedV1, AppointmentKeptV1, AppointmentMissedV1)


def _in_groups(patients: Sequence[UUID]) -> Iterable[Sequence[UUID]]:
    return (patients[start : start + _AT_A_TIME] for start in range(0, len(patients), _AT_A_TIME))


_PLACE = update(OCCURRENCE).where(
    OCCURRENCE.c.occurrence_id == bindparam("of"), OCCURRENCE.c.state.in_(("planned", "said", "withdrawn"))
)
_SAID = _PLACE.values(state="said", said_at=bindparam("at"), plan_version=bindparam("version"), reason=None)
_ENDED = _PLACE.values(state=bindparam("ended"), said_at=bindparam("at"), reason=bindparam("why"))


async def _learn_occurrence(unit: Unit, said: Said) -> None:
    """An occurrence that this plan does not have belongs to a change that is lost: there is nothing to learn of it."""
    event, at = said.event, said.envelope.time
    if isinstance(event, DueWithdrawnV1 | DueExpiredV1):
        ended = "withdrawn" if isinstance(event, DueWithdrawnV1) else "expired"
        await unit.conn.execute(_ENDED, {"of": event.occurrence_id, "at": at, "ended": ended, "why": event.reason})
    elif isinstance(event, OccurrenceDue) and event.type in versions.TEXTLESS:
        await unit.conn.execute(_ENDED, {"of": event.occurrence_id, "at": at, "ended": "closed", "why": "no-text"})
    elif isinstance(event, OccurrenceDue):
        await unit.conn.execute(_SAID, {"of": event.occurrence_id, "at": at, "version": event.plan_version})


def _lost(words: Words) -> dict[UUID, Lost]:
    found: dict[UUID, Lost] = {}
    for one in words.all:
        if isinstance(one.event, PlanEvent) and not is_restated(one):
            before = found.get(one.event.patient_id)
            newest = one.event if before is None or before.last.plan_version < one.event.plan_version else before.last
            found[one.event.patient_id] = Lost(newest, _by_a_person(one.event) or (before is not None and before.by_a_person))
    return found


def _by_a_person(event: PlanEvent) -> bool:
    """Whether time alone would not have brought it: what time brings the restored plan does by itself."""
    if isinstance(event, DoseChangedV1):
        return event.reason != ladder.LADDER_STEP
    if isinstance(event, MedicationRemovedV1):
        return event.reason != ladder.COURSE_ENDED
    return not isinstance(event, _HARMLESS)


def _was_lost(row: Stored, lost: Mapping[UUID, Lost]) -> bool:
    return row.plan.patient_id in lost and lost[row.plan.patient_id].by_a_person


def _restated(row: Stored, lost: Lost | None, restored: Restored, now: datetime) -> Moved:
    """The plan above every version; where a person had changed it since, not running until somebody has looked."""
    plan = replace(row.plan, version=max(row.plan.version, restored.version_base) + 1)
    if lost is None or not lost.by_a_person or plan.status not in ("active", "paused"):
        return Moved(replace(row, plan=plan), (RoutineChanged(),))
    plan, fact = _held_back(plan, lost, now)
    return Moved(replace(row, plan=plan), (fact,))


def _held_back(plan: Plan, lost: Lost, now: datetime) -> tuple[Plan, Fact]:
    if lost.last.plan.status == "stopped":
        medicines = tuple(replace(one, status="stopped") if one.status == "active" else one for one in plan.medicines)
        return replace(plan, status="stopped", paused_on=None, resume_on=None, medicines=medicines), PlanStopped(RESTORED)
    day = timing.local(now, plan.zone or "UTC").date()
    return replace(plan, status="paused", paused_on=plan.paused_on or day, resume_on=None), PlanPaused(RESTORED)


async def _ask_for_review(unit: Unit, row: Stored, restored: Restored) -> None:
    """The prescriber must look at it: an alert of kind plan-review, raised by adherence."""
    plan, zone = row.plan, row.plan.zone or "UTC"
    series = stable_id(plan.patient_id, RESTORED)
    event = ReviewDueV1(
        clinic_id=row.clinic_id,
        patient_id=plan.patient_id,
        occurrence_id=stable_id(series, restored.version_base),
        plan_version=plan.version,
        series_id=series,
        local_date=timing.local(unit.now, zone).date(),
        zone=zone,
        due_at=unit.now,
        useful_until=unit.now,
        answer_until=unit.now,
        reason=RESTORED,
    )
    unit.emit(event, event_id=event.occurrence_id)


__all__ = ["RESTORED", "SchedulerRecollection"]
