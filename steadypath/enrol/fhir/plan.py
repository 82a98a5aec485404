"""The medicines of one patient as the body of PUT /scheduler/patients/{id}/plan: shared slots, and a first day that stays."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from steadypath.enrol.fhir.laying import At
from steadypath.enrol.fhir.medicine import Medicine, earliest_of, slot_of
from steadypath.enrol.intake import Body


def plan_of(
    medicines: list[Medicine], appointments: list[Body], zone: str | None, routine: dict[str, str], today: date
) -> tuple[Body | None, bool]:
    """The plan's body (None: nothing to plan), and whether its first day is only assumed to be today.

    The first day must not move from one reading to the next, or a rerun would change the plan: it comes from the orders.
    """
    if not medicines and not appointments:
        return None, False
    starts = [one.start for one in medicines if one.start is not None]
    if starts:
        medicines = [one.since(earliest_of(max(starts))) for one in medicines]
        starts = [one.start for one in medicines if one.start is not None]
    undated = any(one.start is None for one in medicines)
    assumed = not starts or (undated and min(starts) > today)
    body: Body = {
        "starts_on": (today if assumed else min(starts)).isoformat(),
        "slots": _slots(at for one in medicines for at in one.times()),
        "medicines": [one.body() for one in medicines],
        "appointments": appointments,
    }
    body |= {"zone": zone} if zone else {}
    return body | ({"routine": routine} if routine else {}), assumed


def _slots(times: Iterable[At]) -> dict[str, Body]:
    """One slot a time of day. A time that any order states stands fast; a routine's moves with the routine."""
    found: dict[str, set[At]] = {}
    for at in times:
        found.setdefault(at.time, set()).add(at)
    return {slot_of(time): _slot(time, found[time]) for time in sorted(found)}


def _slot(time: str, said: set[At]) -> Body:
    if any(at.times_from == "plan" for at in said):
        return {"time": time, "times_from": "plan"}
    keys = {at.routine for at in said}
    key = next(iter(keys)) if len(keys) == 1 else None
    return {"time": time, "times_from": "routine"} | ({"routine": key} if key else {})
