"""A part of a plan joins the statement that there is: once, without touching what it does not name."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.joining import join
from services.scheduler.domain.plan import Dose, Medicine, Plan, Slot, Step, TimesFrom
from tests.unit.scheduler.builders import dose, medicine, plan

DAY = date(2026, 11, 23)
_TIMES = st.integers(6, 12).map(time)


@st.composite
def plans(draw: st.DrawFn, names: str) -> Plan:
    """A statement with slots of distinct times, and medicines on them."""
    slots = draw(
        st.lists(st.tuples(st.sampled_from([*names]), _TIMES), min_size=1, max_size=4, unique_by=(lambda s: s[0], lambda s: s[1]))
    )
    sources: st.SearchStrategy[TimesFrom] = st.sampled_from(("plan", "routine"))
    found = tuple(Slot(name, at, draw(sources)) for name, at in slots)
    which = draw(st.lists(st.sampled_from("1234"), max_size=4, unique=True))
    step = st.sampled_from([slot.id for slot in found]).map(lambda slot: (Step(DAY, (dose(slot),)),))
    medicines = tuple(medicine(f"m{one}", *draw(step)) for one in which)
    return replace(plan(), slots=found, medicines=medicines)


def times_of(whole: Plan, one: Medicine) -> list[time]:
    return [whole.slot(each.slot).at for step in one.steps for each in step.doses]


@given(plans("abcd"), plans("wxyz"))
def test_joined_once_or_twice_is_the_same(base: Plan, part: Plan) -> None:
    once = join(base, part)
    assert join(once, part) == once


@given(plans("abcd"), plans("wxyz"))
def test_each_medicine_keeps_its_times_and_no_time_is_there_twice(base: Plan, part: Plan) -> None:
    whole = join(base, part)
    named = {one.id for one in part.medicines}
    for one in whole.medicines:
        source = part if one.id in named else base
        stated = source.medicine(one.id)
        assert stated is not None
        assert times_of(whole, one) == times_of(source, stated)
    assert [one.id for one in whole.medicines][: len(base.medicines)] == [one.id for one in base.medicines]
    assert len({slot.at for slot in whole.slots}) == len(whole.slots)


@given(plans("abcd"), plans("wxyz"))
def test_a_time_that_a_prescriber_states_no_longer_moves_with_the_routine(base: Plan, part: Plan) -> None:
    whole = {slot.at: slot for slot in join(base, part).slots}
    for slot in part.slots:
        if slot.times_from == "plan" and slot.at in whole:
            assert whole[slot.at].times_from == "plan"


def test_a_slot_that_nothing_uses_any_more_goes_with_its_medicine() -> None:
    base = plan(medicine("m1", Step(DAY, (dose("morning"),))), slots={"morning": "08:00", "spare": "12:00"})
    part = replace(plan(medicine("m1", Step(DAY, (Dose("t0900", dose().quantity, "tablet"),)))), slots=(Slot("t0900", time(9)),))
    assert [slot.id for slot in join(base, part).slots] == ["spare", "t0900"]


def test_the_parts_zone_counts_where_it_names_one() -> None:
    base, part = plan(medicine("m1")), plan(medicine("m2"), zone=None)
    assert join(base, part).zone == base.zone
    assert join(base, replace(part, zone="America/Denver")).zone == "America/Denver"
