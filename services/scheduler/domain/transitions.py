"""Commands of people on a plan. Each takes the plan and `now`, returns the plan after it and the facts, or raises Refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from uuid import UUID

from services.scheduler.domain import ladder, timing
from services.scheduler.domain.change import Change, changed, require_running, today, unchanged, with_medicine
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.facts import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentKept,
    AppointmentMissed,
    AppointmentMoved,
    DoseChanged,
    Fact,
    MedicineAdded,
    MedicineRemoved,
    MedicineSwitched,
    PlanPaused,
    PlanResumed,
    PlanStarted,
    PlanStopped,
    ResultRecorded,
    RoutineChanged,
    TaperStarted,
    ZoneChanged,
)
from services.scheduler.domain.plan import Appointment, AppointmentStatus, Medicine, Plan, Step


def start(plan: Plan, now: datetime, previous: Plan | None = None, *, above: int = 0) -> Change:
    """Starts a plan, or starts anew one that was stopped or completed. What the day has already brought is visible as
    expired when the plan starts today; a plan that has run for longer elsewhere begins with what is still of use. `above`: what
    the versions of a new plan begin above."""
    day = today(plan, now)
    since = timing.day_start(day, plan.zone) if plan.zone and plan.starts_on >= day else now
    medicines = tuple(_as_of(one, day) for one in plan.medicines)
    version = previous.version if previous else above
    return changed(replace(plan, status="active", since=since, medicines=medicines, version=version), PlanStarted())


def _as_of(medicine: Medicine, day: date) -> Medicine:
    status = "completed" if medicine.status == "active" and medicine.is_over(day) else medicine.status
    return replace(medicine, said_step=max(medicine.step_on(day), 1), status=status)


def change_dose(plan: Plan, now: datetime, medicine_id: UUID, steps: tuple[Step, ...], reason: str) -> Change:
    """Replaces the ladder from the first of `steps` on; what was in force before stays on record."""
    require_running(plan, paused_too=True)
    medicine = _active(plan, medicine_id)
    effective = _from_today_on(steps[0].from_on, today(plan, now), "effective_on")
    laid = _laid_over(medicine, steps, effective, today(plan, now))
    return changed(with_medicine(plan, laid), DoseChanged(medicine_id, effective, reason))


def start_taper(plan: Plan, now: datetime, medicine_id: UUID, steps: tuple[Step, ...], ends_on: date | None) -> Change:
    """From the first of `steps` on the medicine is tapered: an empty last step or `ends_on` says where it ends."""
    require_running(plan, paused_too=True)
    medicine = replace(_active(plan, medicine_id), kind="taper", ends_on=ends_on)
    if ends_on is None and steps[-1].doses:
        raise Refused("steps", "a taper has an end", accepted="ends_on, or a last step without doses")
    effective = _from_today_on(steps[0].from_on, today(plan, now), "effective_on")
    laid = _laid_over(medicine, steps, effective, today(plan, now))
    return changed(with_medicine(plan, laid), TaperStarted(medicine_id, ends_on or steps[-1].from_on))


def _active(plan: Plan, medicine_id: UUID) -> Medicine:
    medicine = plan.medicine(medicine_id)
    if medicine is None:
        raise Refused("medicine", "the plan has no such medicine", accepted="the id of a medicine of this plan")
    if medicine.status != "active":
        raise Refused("medicine", f"this medicine is {medicine.status}", accepted="a medicine that is active", conflict=True)
    return medicine


def _from_today_on(effective: date, day: date, element: str) -> date:
    if effective < day:
        raise Refused(element, "what was taken is not changed afterwards", accepted="the patient's local date of today or later")
    return effective


def _laid_over(medicine: Medicine, steps: tuple[Step, ...], effective: date, day: date) -> Medicine:
    kept = tuple(one for one in medicine.steps if one.from_on < effective)
    laid = replace(medicine, steps=(*kept, *steps))
    return replace(laid, said_step=max(laid.step_on(day), 1))


def add_medicine(plan: Plan, now: datetime, medicine: Medicine) -> Change:
    """Adds a medicine; one that `replaces` another says so."""
    require_running(plan, paused_too=True)
    added = _as_of(medicine, today(plan, now))
    others = tuple(one for one in plan.medicines if one.id != medicine.id)
    facts: list[Fact] = [MedicineAdded(medicine.id)]
    if medicine.replaces is not None and any(one.id == medicine.replaces for one in others):
        facts.append(MedicineSwitched(medicine.replaces, medicine.id))
    return changed(replace(plan, medicines=(*others, added)), *facts)


def remove_medicine(plan: Plan, medicine_id: UUID, reason: str) -> Change:
    require_running(plan, paused_too=True)
    gone = replace(_active(plan, medicine_id), status="stopped")
    return changed(with_medicine(plan, gone), MedicineRemoved(medicine_id, reason))


def switch_medicine(plan: Plan, now: datetime, old_id: UUID, new: Medicine) -> Change:
    """From one medicine to another at once. A cross-taper is a taper of the old one beside an added one that `replaces` it."""
    require_running(plan, paused_too=True)
    left = with_medicine(plan, replace(_active(plan, old_id), status="switched"))
    added = replace(_as_of(new, today(plan, now)), replaces=old_id)
    others = tuple(one for one in left.medicines if one.id != new.id)
    return changed(replace(left, medicines=(*others, added)), MedicineSwitched(old_id, new.id))


def pause(plan: Plan, now: datetime, reason: str, resume_on: date | None) -> Change:
    """Nothing is due until resumed. Pausing what is paused changes nothing."""
    if plan.status == "paused" and plan.resume_on == resume_on:
        return unchanged(plan)
    require_running(plan, paused_too=True)
    day = today(plan, now)
    if resume_on is not None and resume_on <= day:
        raise Refused("resume_on", "a pause ends after today", accepted="a later local date of the patient, or none")
    return changed(replace(plan, status="paused", paused_on=plan.paused_on or day, resume_on=resume_on), PlanPaused(reason))


def resume(plan: Plan, now: datetime) -> Change:
    if plan.status == "active":
        return unchanged(plan)
    require_running(plan, paused_too=True)
    running = changed(ladder.resumed(plan, today(plan, now), now), PlanResumed())
    after = ladder.advance(running.plan, now)
    return Change(after.plan, (*running.facts, *after.facts))


def stop(plan: Plan, reason: str) -> Change:
    """For good. Everything that was planned or said and not yet texted is withdrawn by the caller."""
    if plan.status == "stopped":
        return unchanged(plan)
    require_running(plan, paused_too=True)
    medicines = tuple(replace(one, status="stopped") if one.status == "active" else one for one in plan.medicines)
    return changed(replace(plan, status="stopped", paused_on=None, resume_on=None, medicines=medicines), PlanStopped(reason))


def change_zone(plan: Plan, now: datetime, zone: str) -> Change:
    """The wall times stay, the instants move; each (slot, local date) still happens once."""
    if plan.zone == zone:
        return unchanged(plan)
    require_running(plan, paused_too=True)
    moved = replace(plan, zone=zone, since=max(plan.since, now) if plan.zone is None else plan.since)
    return changed(moved, ZoneChanged(plan.zone))


def change_routine(plan: Plan, routine: dict[str, time]) -> Change:
    """Slots that take their time from the routine move with it; times that the plan states stay."""
    require_running(plan, paused_too=True)
    slots = tuple(
        replace(one, at=routine.get(one.routine_key or one.id, one.at)) if one.times_from == "routine" else one
        for one in plan.slots
    )
    if len({one.at for one in slots}) != len(slots):
        raise Refused("routine", "two slots would fall on one time", accepted="a time of its own for each slot of the plan")
    after = replace(plan, slots=slots, routine=tuple(sorted(routine.items())))
    return unchanged(plan) if after == plan else changed(after, RoutineChanged())


def put_appointment(plan: Plan, one: Appointment) -> Change:
    """Books an appointment, or moves the one of that id. One with an outcome is history and stays."""
    require_running(plan, paused_too=True)
    if one.follow_up is not None and all(known.id != one.follow_up for known in plan.follow_ups):
        raise Refused("follow_up", "the plan has no such follow-up", accepted="the id of a follow-up of this plan")
    known = plan.appointment(one.id)
    if known is None:
        return changed(replace(plan, appointments=(*plan.appointments, one)), AppointmentBooked(one.id))
    if known.status not in ("booked", "cancelled"):
        raise Refused("appointment", f"this appointment is {known.status}", accepted="a new id for another visit", conflict=True)
    if known == one:
        return unchanged(plan)
    after = replace(plan, appointments=tuple(one if other.id == one.id else other for other in plan.appointments))
    if known.status == "cancelled":
        return changed(after, AppointmentBooked(one.id))
    return changed(after, AppointmentMoved(one.id, starts_at(known)))


def starts_at(one: Appointment) -> datetime:
    """The UTC instant at which an appointment begins."""
    return timing.instant(one.starts.date(), one.starts.time(), one.zone)


def record_outcome(plan: Plan, appointment_id: UUID, outcome: AppointmentStatus, reason: str) -> Change:
    """Kept, missed or cancelled, as a person or an appointment feed says. A later word corrects an earlier one."""
    known = plan.appointment(appointment_id)
    if known is None:
        raise Refused("appointment", "the plan has no such appointment", accepted="the id of an appointment of this plan")
    if known.status == outcome:
        return unchanged(plan)
    after = replace(known, status=outcome)
    said: dict[str, Fact] = {
        "kept": AppointmentKept(appointment_id),
        "missed": AppointmentMissed(appointment_id),
        "cancelled": AppointmentCancelled(appointment_id, reason),
    }
    if outcome not in said:
        raise Refused("outcome", "not an outcome", accepted="kept, missed or cancelled")
    appointments = tuple(after if one.id == appointment_id else one for one in plan.appointments)
    return changed(replace(plan, appointments=appointments), said[outcome])


def record_result(plan: Plan, now: datetime, monitoring_id: UUID, recorded_on: date) -> Change:
    """A result is on record; its value stays where it was measured."""
    known = next((one for one in plan.monitoring if one.id == monitoring_id), None)
    if known is None:
        raise Refused("monitoring", "the plan has no such monitoring", accepted="the id of a monitoring of this plan")
    if recorded_on > today(plan, now) + timedelta(days=1):
        raise Refused("recorded_on", "a result is not from the future", accepted="the patient's local date of today or earlier")
    if recorded_on in known.results:
        return unchanged(plan)
    after = replace(known, results=tuple(sorted((*known.results, recorded_on))))
    monitoring = tuple(after if one.id == monitoring_id else one for one in plan.monitoring)
    return changed(replace(plan, monitoring=monitoring), ResultRecorded(monitoring_id, recorded_on))


def settle_follow_up(plan: Plan, follow_up_id: UUID, *, settled: bool) -> Plan:
    """An outcome of a follow-up was heard (or taken back). Our own bookkeeping: no version, nobody reads it from us."""
    others = plan.settled - {follow_up_id}
    return replace(plan, settled=others | {follow_up_id} if settled else others)
