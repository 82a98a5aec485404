"""What each medicine of a native plan was read as: for every step of its ladder the times, the rhythm, the dose, until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta

from services.scheduler.bodies import DoseBody, SlotBody
from services.scheduler.numbers import house_routine
from steadypath.enrol import native
from steadypath.enrol.outcome import Refusal, SlotReading, TimesFrom

#: Word of the day -> local wall time.
Routine = Mapping[str, time]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def readings(patient: native.Patient, clinic: Routine, today: date) -> dict[str, tuple[SlotReading, ...]]:
    """By medicine. Raises Refusal where a dose names no slot of the plan, or no routine says when its slot is."""
    plan = patient.plan
    assert plan is not None, "only a patient with a plan has medicines"
    at = {name: _time(name, one, patient.routine, clinic) for name, one in plan.slots.items()}
    start = plan.starts_on or today
    return {one.id: _medicine(one, number, at, start) for number, one in enumerate(plan.medicines)}


def _time(name: str, slot: SlotBody, own: Routine, clinic: Routine) -> tuple[time, TimesFrom]:
    """As the scheduler reads it (services/scheduler/reading.py)."""
    key = slot.routine or name
    if slot.times_from == "plan" and slot.time is not None and slot.routine is None:
        return slot.time, "plan"
    found = own.get(key) or clinic.get(key) or slot.time or house_routine().get(key)
    if found is None:
        known = ", ".join(sorted({*own, *clinic, *house_routine()}))
        raise Refusal(f"plan.slots.{name}", "No routine says when that is.", f"a time, or one of {known}")
    return found, "routine"


def _medicine(
    medicine: native.Medicine, number: int, at: Mapping[str, tuple[time, TimesFrom]], start: date
) -> tuple[SlotReading, ...]:
    if medicine.as_needed:
        return (SlotReading(as_needed=True, until=medicine.ends_on.isoformat() if medicine.ends_on else None),)
    first = medicine.starts_on or start
    found: list[SlotReading] = []
    for place, step in enumerate(medicine.steps):
        following = medicine.steps[place + 1 : place + 2]
        end = first + timedelta(days=following[0].from_day - 2) if following else medicine.ends_on
        for like in _alike(step.doses):
            missing = next((index for index, dose in enumerate(step.doses) if dose.slot not in at), None)
            if missing is not None:
                where = f"plan.medicines[{number}].steps[{place}].doses[{missing}].slot"
                raise Refusal(where, "The plan has no such slot.", "the name of one of the plan's slots")
            found.append(_reading(like, at, end))
    return tuple(found)


def _alike(doses: list[DoseBody]) -> list[list[DoseBody]]:
    """Doses of one step that differ in their slots only."""
    groups: dict[tuple[object, ...], list[DoseBody]] = {}
    for dose in doses:
        groups.setdefault((dose.quantity, dose.unit, dose.every_days, tuple(dose.weekdays)), []).append(dose)
    return list(groups.values())


def _reading(doses: list[DoseBody], at: Mapping[str, tuple[time, TimesFrom]], end: date | None) -> SlotReading:
    times = sorted(at[dose.slot] for dose in doses)
    one = doses[0]
    return SlotReading(
        times=tuple(f"{wall:%H:%M}" for wall, _ in times),
        times_from="routine" if any(source == "routine" for _, source in times) else "plan",
        every=f"P{one.every_days}D",
        days=tuple(_DAYS[day - 1] for day in sorted(set(one.weekdays))) or None,
        until=end.isoformat() if end else None,
        dose=f"{one.quantity.normalize():f} {one.unit}",
    )
