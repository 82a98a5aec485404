"""Which occurrences a plan has in a stretch of time: from local days to instants, one pure function per kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from services.scheduler.domain import identity, timing
from services.scheduler.domain.occurrence import Kind, Occurrence, Rules
from services.scheduler.domain.plan import CheckIn, Dose, FollowUp, Medicine, Monitoring, Plan, Slot

DAY = timedelta(days=1)


def occurrences(plan: Plan, start: datetime, end: datetime, rules: Rules) -> list[Occurrence]:
    """Every occurrence whose moment lies in [start, end), in order of time. Empty where the plan is not active or its zone
    is not known (DESIGN.md rule 8: then nothing goes)."""
    if plan.status != "active" or plan.zone is None or start >= end:
        return []
    days = _days(plan.zone, start, end)
    found = [one for one in _all(plan, plan.zone, days, rules) if start <= one.due_at < end and _is_ours(plan, one)]
    return sorted((_occurrence(plan, one) for one in found), key=lambda one: one.sort_key)


class _Moment(NamedTuple):
    """What an occurrence will say. An id takes longer than the rest of it: only what lies in the stretch has one made."""

    kind: Kind
    series: UUID
    slot: str
    day: date
    due_at: datetime
    useful_until: datetime
    answer_until: datetime
    detail: Mapping[str, Any]


def _occurrence(plan: Plan, one: _Moment) -> Occurrence:
    identity_ = identity.occurrence_id(plan.patient_id, one.series, one.slot, one.day)
    return Occurrence(identity_, *one)


def _days(zone: str, start: datetime, end: datetime) -> list[date]:
    """The local dates that can touch [start, end): a day more on each side, because a gap may push a time past midnight."""
    first, last = timing.local_date(start, zone) - DAY, timing.local_date(end, zone) + DAY
    return [first + DAY * number for number in range((last - first).days + 1)]


def _is_ours(plan: Plan, one: _Moment) -> bool:
    """Nothing was due before the plan was ours, save what still waits for a person."""
    if one.due_at >= plan.since:
        return True
    return one.kind in ("follow-up-due", "monitoring-due") and one.useful_until > plan.since


def _all(plan: Plan, zone: str, days: list[date], rules: Rules) -> Iterator[_Moment]:
    yield from _doses(plan, zone, days, rules)
    for check_in in plan.check_ins:
        yield from _check_ins(zone, days, check_in, rules)
    for follow_up in plan.follow_ups:
        yield from _follow_up(plan, zone, follow_up, rules)
    for monitoring in plan.monitoring:
        yield from _monitoring(zone, days, monitoring, rules)
    yield from _appointments(plan, rules)
    yield from _education(plan, zone, rules)
    yield from _reviews(plan, zone, rules)


def _doses(plan: Plan, zone: str, days: list[date], rules: Rules) -> Iterator[_Moment]:
    """One occurrence per slot and day. Its answer counts until the next dose of the patient, at most `dose_answer`."""
    series = identity.dose_series(plan.patient_id)
    made = sorted((one for day in [*days, days[-1] + DAY] for one in _doses_of_day(plan, zone, day)), key=lambda one: one.due_at)
    for number, one in enumerate(made):
        following = next((later.due_at for later in made[number + 1 :] if later.due_at > one.due_at), None)
        answer = min(one.due_at + rules.dose_answer, following or one.due_at + rules.dose_answer)
        useful = min(one.due_at + rules.dose_useful, answer)
        yield _Moment("dose-due", series, one.slot.id, one.day, one.due_at, useful, answer, _asked_for(one))


class _Taking(NamedTuple):
    """What is taken at a slot of a local date."""

    due_at: datetime
    day: date
    slot: Slot
    taken: Sequence[tuple[Medicine, Dose]]


def _doses_of_day(plan: Plan, zone: str, day: date) -> Iterator[_Taking]:
    for slot_id, taken in doses_by_slot(plan.medicines, day).items():
        slot = plan.slot(slot_id)
        yield _Taking(timing.instant(day, slot.at, zone), day, slot, taken)


def _asked_for(one: _Taking) -> dict[str, Any]:
    doses = [
        {"medication_id": str(medicine.id), "quantity": str(dose.quantity), "unit": dose.unit} for medicine, dose in one.taken
    ]
    slot = one.slot
    return {"slot_id": slot.id, "slot_time": slot.at.strftime("%H:%M"), "times_from": slot.times_from, "doses": doses}


def doses_by_slot(medicines: Iterable[Medicine], day: date) -> dict[str, list[tuple[Medicine, Dose]]]:
    """What is taken on a local date, by slot: all medicines of a slot belong together."""
    slots: dict[str, list[tuple[Medicine, Dose]]] = {}
    for medicine in medicines:
        for dose in medicine.doses_on(day):
            slots.setdefault(dose.slot, []).append((medicine, dose))
    return slots


def _check_ins(zone: str, days: list[date], one: CheckIn, rules: Rules) -> Iterator[_Moment]:
    for day in days:
        if check_in_falls_on(one, day):
            due = timing.instant(day, one.at, zone)
            # A text is of use for three quarters of the time in which an answer counts: nobody is asked at the last minute.
            useful = due + min(rules.check_in_useful, one.answer_within * 3 / 4)
            detail = {"instrument": one.instrument, "item": one.item}
            yield _Moment("check-in-due", one.id, "check-in", day, due, useful, due + one.answer_within, detail)


def check_in_falls_on(one: CheckIn, day: date) -> bool:
    """Whether a check-in is asked on a local date."""
    if day < one.first_on or (one.last_on is not None and day > one.last_on):
        return False
    return (day - one.first_on).days % one.every_days == 0


def _follow_up(plan: Plan, zone: str, one: FollowUp, rules: Rules) -> Iterator[_Moment]:
    """Due on its day unless kept already; overdue on the morning after its deadline, unless an outcome is on record."""
    if one.id in plan.settled:
        return
    appointment = plan.appointment_for(one.id)
    outcome = appointment.status if appointment is not None and appointment.status in ("kept", "missed") else None
    deadline = timing.day_end(one.deadline_on, zone)
    common = {"follow_up_id": str(one.id), "deadline_at": deadline.isoformat()}
    if outcome != "kept":
        due = timing.instant(one.due_on, one.at, zone)
        detail = {**common, "appointment_id": str(appointment.id) if appointment else None}
        yield _Moment("follow-up-due", one.id, "due", one.due_on, due, deadline, deadline, detail)
    overdue = max(deadline, timing.instant(one.deadline_on + DAY, rules.overdue_at, zone))
    until = overdue + rules.overdue_useful
    detail = {**common, "appointment_outcome": outcome}
    yield _Moment("follow-up-overdue", one.id, "overdue", one.deadline_on, overdue, until, until, detail)


def _monitoring(zone: str, days: list[date], one: Monitoring, rules: Rules) -> Iterator[_Moment]:
    for day in _monitoring_days(one, days):
        deadline_on = day + timedelta(days=one.deadline_days)
        if any(day - rules.monitoring_result_lead <= result <= deadline_on for result in one.results):
            continue
        due, deadline = timing.instant(day, one.at, zone), timing.day_end(deadline_on, zone)
        detail = {"monitoring_id": str(one.id), "deadline_at": deadline.isoformat()}
        yield _Moment("monitoring-due", one.id, "due", day, due, deadline, deadline, detail)


def _monitoring_days(one: Monitoring, days: list[date]) -> Iterable[date]:
    if one.every_days is None:
        return [one.due_on]
    first, every = one.due_on, one.every_days
    return [day for day in days if day >= first and (day - first).days % every == 0]


def _appointments(plan: Plan, rules: Rules) -> Iterator[_Moment]:
    """A reminder some days before, at the appointment's own wall time. The time is part of the slot: a reminder of ten
    o'clock does not count for an appointment that was moved to two."""
    for one in plan.appointments:
        if one.status != "booked":
            continue
        starts = timing.instant(one.starts.date(), one.starts.time(), one.zone)
        day = one.starts.date() - timedelta(days=rules.appointment_reminder_days)
        due = timing.instant(day, one.starts.time(), one.zone)
        detail = {"appointment_id": str(one.id), "starts_at": starts.isoformat()}
        slot = one.starts.strftime("reminder-%H%M")
        yield _Moment("appointment-reminder-due", one.id, slot, day, due, starts, starts, detail)


def _education(plan: Plan, zone: str, rules: Rules) -> Iterator[_Moment]:
    for one in plan.education:
        due = timing.instant(one.on, one.at, zone)
        until = due + rules.education_useful
        yield _Moment("education-due", one.id, "lesson", one.on, due, until, until, {"lesson": one.lesson})


def _reviews(plan: Plan, zone: str, rules: Rules) -> Iterator[_Moment]:
    for one in plan.reviews:
        due = timing.instant(one.on, one.at, zone)
        until = due + rules.overdue_useful
        yield _Moment("review-due", one.id, "review", one.on, due, until, until, {"reason": one.reason})
