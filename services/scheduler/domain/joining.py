"""A statement that is a part of a plan (one more medicine, one more visit) laid over the statement that there is.

What it names replaces what had its id, all else stays, in its order: laying the same part again changes nothing. Times of day are
unique in a plan, so a new slot at a known time is the known slot; one whose time a prescriber states no longer moves with the
routine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol, TypeVar
from uuid import UUID

from services.scheduler.domain.plan import Medicine, Plan, Slot


class _Named(Protocol):
    @property
    def id(self) -> UUID | str: ...


N = TypeVar("N", bound=_Named)


def join(base: Plan, part: Plan) -> Plan:
    """The whole statement. Not checked: a joined plan is validated like any other."""
    slots, renamed = _slots(base.slots, part.slots)
    medicines = _over(base.medicines, (_on_slots(one, renamed) for one in part.medicines))
    needed, spare = _used(medicines), {one.id for one in base.slots} - _used(base.medicines)
    return replace(
        base,
        zone=part.zone or base.zone,
        routine=tuple(sorted({**dict(base.routine), **dict(part.routine)}.items())),
        slots=tuple(one for one in slots if one.id in needed | spare),
        medicines=medicines,
        check_ins=_over(base.check_ins, part.check_ins),
        follow_ups=_over(base.follow_ups, part.follow_ups),
        appointments=_over(base.appointments, part.appointments),
        monitoring=_over(base.monitoring, part.monitoring),
        education=_over(base.education, part.education),
        reviews=_over(base.reviews, part.reviews),
    )


def _over(base: tuple[N, ...], part: Iterable[N]) -> tuple[N, ...]:
    named = {one.id: one for one in part}
    kept = tuple(named.pop(one.id, one) for one in base)
    return (*kept, *named.values())


def _slots(base: tuple[Slot, ...], part: tuple[Slot, ...]) -> tuple[tuple[Slot, ...], dict[str, str]]:
    """All slots, and what the part's are called among them."""
    found, renamed = {one.id: one for one in base}, dict[str, str]()
    for one in part:
        if one.id in found:
            found[one.id] = one
            continue
        same = next((known for known in found.values() if known.at == one.at), None)
        if same is None:
            found[one.id] = one
            continue
        renamed[one.id] = same.id
        if one.times_from == "plan" and same.times_from == "routine":
            found[same.id] = replace(same, times_from="plan", routine_key=None)
    return tuple(found.values()), renamed


def _on_slots(medicine: Medicine, renamed: dict[str, str]) -> Medicine:
    if not renamed:
        return medicine
    steps = tuple(
        replace(step, doses=tuple(replace(dose, slot=renamed.get(dose.slot, dose.slot)) for dose in step.doses))
        for step in medicine.steps
    )
    return replace(medicine, steps=steps)


def _used(medicines: Iterable[Medicine]) -> set[str]:
    return {dose.slot for one in medicines for step in one.steps for dose in step.doses}
