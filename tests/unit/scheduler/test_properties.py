"""Whatever order people, midnight and outages come in, the plan's promises hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.scheduler.domain import timing, transitions
from services.scheduler.domain.change import today
from services.scheduler.domain.errors import Refused
from services.scheduler.domain.facts import DoseChanged, MedicineRemoved
from services.scheduler.domain.identity import element_id, stable_id
from services.scheduler.domain.plan import CheckIn, FollowUp, Medicine, Step
from tests.unit.scheduler.builders import NEW_YORK, PATIENT, dose, medicine, plan, utc
from tests.unit.scheduler.desk import Desk, desk

ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kolkata"]
WALLS = ["00:00", "01:30", "02:30", "08:00", "12:00", "20:00", "23:30"]
#: Two days before New York's clocks go back.
START = utc(2026, 10, 30, 15)


def a_plan() -> Desk:
    steps = tuple(Step(date(2026, 10, 30) + timedelta(days=n * 2), (dose(quantity=str(n + 1)),)) for n in range(3))
    ladder = medicine("m1", *steps, kind="titration")
    evening = medicine("m2", Step(date(2026, 10, 30), (dose("evening"),)))
    mood = CheckIn(element_id(PATIENT, "check-in", "mood"), "mood", "mood", date(2026, 10, 31), 2, time(11), timedelta(hours=24))
    visit = FollowUp(element_id(PATIENT, "follow-up", "v"), date(2026, 11, 2), date(2026, 11, 3), time(10))
    begun = plan(ladder, evening, check_ins=(mood,), follow_ups=(visit,), starts_on=date(2026, 10, 30), since=START)
    return desk(begun, START)


class Scheduler(RuleBasedStateMachine):
    """Commands, ticks, outages, texts that go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = a_plan()
        self.versions = [self.desk.plan.version]

    def _do(self, change: object) -> None:
        try:
            self.desk.apply(change(self.desk.plan, self.desk.now))  # type: ignore[operator]
        except Refused:
            return
        self.versions.append(self.desk.plan.version)

    @rule(minutes=st.integers(1, 60 * 40))
    def time_passes(self, minutes: int) -> None:
        self.desk.run_to(self.desk.now + timedelta(minutes=minutes))

    @rule(hours=st.integers(1, 100))
    def everything_is_down(self, hours: int) -> None:
        before = len(self.desk.said)
        self.desk.tick(self.desk.now + timedelta(hours=hours))
        late = [said for said in self.desk.said[before:] if said.at - said.occurrence.due_at > timedelta(hours=1)]
        kinds = Counter(said.occurrence.kind for said in late)
        assert all(count <= 1 for kind, count in kinds.items() if kind in ("dose-due", "check-in-due", "education-due"))

    @rule(quantity=st.integers(1, 9), days=st.integers(0, 3))
    def the_dose_changes(self, quantity: int, days: int) -> None:
        def change(plan, now):  # type: ignore[no-untyped-def]
            step = Step(today(plan, now) + timedelta(days=days), (dose(quantity=str(quantity)),))
            return transitions.change_dose(plan, now, stable_id("m1"), (step,), "other")

        self._do(change)

    @rule(days=st.none() | st.integers(1, 4))
    def the_plan_is_paused(self, days: int | None) -> None:
        self._do(lambda p, now: transitions.pause(p, now, "other", today(p, now) + timedelta(days=days) if days else None))

    @rule()
    def the_plan_is_resumed(self) -> None:
        self._do(transitions.resume)

    @rule(zone=st.sampled_from(ZONES))
    def the_patient_moves(self, zone: str) -> None:
        self._do(lambda p, now: transitions.change_zone(p, now, zone))

    @rule(wall=st.sampled_from(WALLS))
    def the_morning_moves(self, wall: str) -> None:
        slots = {one.id: replace(one, times_from="routine", routine_key=one.id) for one in self.desk.plan.slots}
        self.desk.plan = replace(self.desk.plan, slots=tuple(slots.values()))
        self._do(lambda p, _now: transitions.change_routine(p, {"morning": time.fromisoformat(wall)}))

    @rule()
    def the_evening_medicine_is_removed(self) -> None:
        self._do(lambda p, _now: transitions.remove_medicine(p, stable_id("m2"), "other"))

    @precondition(lambda self: any(row.state == "said" for row in self.desk.rows.values()))
    @rule(data=st.data())
    def a_text_goes(self, data: st.DataObject) -> None:
        said = sorted((one for one, row in self.desk.rows.items() if row.state == "said"), key=str)
        self.desk.sent(data.draw(st.sampled_from(said)))

    @rule()
    def the_plan_is_stopped(self) -> None:
        self._do(lambda p, _now: transitions.stop(p, "other"))

    @invariant()
    def no_occurrence_is_said_twice_under_one_version(self) -> None:
        twice = Counter((said.occurrence.id, said.version) for said in self.desk.said)
        assert all(count == 1 for count in twice.values())

    @invariant()
    def versions_only_rise(self) -> None:
        assert self.versions == sorted(self.versions)

    @invariant()
    def nothing_is_said_or_planned_while_not_active(self) -> None:
        assert all(said.status == "active" for said in self.desk.said)
        if self.desk.plan.status != "active":
            assert all(row.state != "planned" for row in self.desk.rows.values())

    @invariant()
    def what_is_due_next_is_in_the_future_once_the_present_is_carried_through(self) -> None:
        self.desk.tick(self.desk.now)
        due = self.desk.next_due()
        assert due is None or due > self.desk.now

    @invariant()
    def no_dose_is_said_after_its_hour(self) -> None:
        late = [said for said in self.desk.said if said.occurrence.kind == "dose-due" and said.at >= said.occurrence.useful_until]
        assert late == []

    @invariant()
    def every_row_said_stands_under_a_version_that_said_it(self) -> None:
        about = {said.occurrence.id for said in self.desk.said}
        assert all(one in about for one, row in self.desk.rows.items() if row.state in ("said", "withdrawn"))


TestScheduler = Scheduler.TestCase
TestScheduler.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


@st.composite
def ladders(draw: st.DrawFn) -> Medicine:
    """A ladder that ends: by a last day, or as a taper with an empty last step."""
    gaps = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    days = [date(2026, 11, 2) + timedelta(days=sum(gaps[:n])) for n in range(len(gaps))]
    steps = tuple(Step(day, (dose(quantity=str(n + 1)),)) for n, day in enumerate(days))
    if draw(st.booleans()):
        return medicine("m1", *steps, Step(days[-1] + timedelta(days=gaps[-1])), kind="taper")
    return medicine("m1", *steps, kind="titration", ends_on=days[-1] + timedelta(days=gaps[-1] - 1))


def last_day_of(one: Medicine) -> date:
    return one.ends_on or one.steps[-1].from_on - timedelta(days=1)


@given(ladders(), st.sampled_from(ZONES))
@settings(max_examples=60, deadline=None)
def test_every_started_ladder_says_each_step_once_takes_its_dose_every_day_and_ends(one: Medicine, zone: str) -> None:
    start = timing.instant(date(2026, 11, 2), time(0), zone)
    run = desk(plan(one, zone=zone, starts_on=date(2026, 11, 2), since=start), start)
    run.run_to(start + timedelta(days=45))
    days = (last_day_of(one) - date(2026, 11, 2)).days + 1
    said = [said for said in run.said if said.occurrence.kind == "dose-due"]
    assert [one.occurrence.local_date for one in said] == [date(2026, 11, 2) + timedelta(days=n) for n in range(days)]
    for each in said:
        step = one.steps[one.step_on(each.occurrence.local_date) - 1]
        assert each.occurrence.detail["doses"][0]["quantity"] == str(step.doses[0].quantity)
    changes = [fact.effective_on for fact in run.facts if isinstance(fact, DoseChanged)]
    assert changes == [step.from_on for step in one.steps[1:] if step.doses]
    assert sum(isinstance(fact, MedicineRemoved) for fact in run.facts) == 1
    assert run.plan.status == "completed"
    assert run.next_due() is None or all(row.state != "planned" for row in run.rows.values())


@given(st.sampled_from(ZONES), st.sampled_from(WALLS), st.integers(0, 364))
@settings(max_examples=150, deadline=None)
def test_a_daily_dose_happens_once_on_every_local_date_whatever_the_clocks_do(zone: str, wall: str, day: int) -> None:
    first = date(2027, 1, 1) + timedelta(days=day)
    start = timing.instant(first, time(0), zone)
    run = desk(plan(zone=zone, slots={"morning": wall, "evening": "20:00" if wall != "20:00" else "21:00"}, since=start), start)
    run.run_to(timing.instant(first + timedelta(days=5), time(0), zone) - timedelta(seconds=1))
    dates = [said.occurrence.local_date for said in run.said]
    assert dates == [first + timedelta(days=n) for n in range(5)]


@given(st.lists(st.sampled_from(ZONES), min_size=1, max_size=4), st.lists(st.integers(1, 30), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_patient_who_travels_gets_each_slot_and_date_once_and_misses_no_date(zones: list[str], hours: list[int]) -> None:
    run = desk(plan(zone=NEW_YORK, since=START, starts_on=date(2026, 11, 1)), START)
    for zone, gap in zip(zones, hours, strict=False):
        run.run_to(run.now + timedelta(hours=gap))
        for said in run.said:
            run.sent(said.occurrence.id)
        run.apply(transitions.change_zone(run.plan, run.now, zone))
    run.run_to(run.now + timedelta(days=3))
    assert all(count == 1 for count in Counter(said.occurrence.id for said in run.said).values())
    dates = sorted({row.occurrence.local_date for row in run.rows.values()})
    assert dates == [date(2026, 11, 1) + timedelta(days=n) for n in range(len(dates))]


def test_a_slot_moved_later_today_after_it_was_texted_is_not_texted_again() -> None:
    run = desk(plan(zone=NEW_YORK, since=START), START)
    run.run_to(utc(2026, 11, 1, 13, 30))
    [first] = run.said
    run.sent(first.occurrence.id)
    slots = tuple(replace(one, at=time(18), times_from="routine") if one.id == "morning" else one for one in run.plan.slots)
    run.plan = replace(run.plan, slots=slots)
    run.apply(transitions.change_routine(run.plan, {"morning": time(17)}))
    run.run_to(utc(2026, 11, 2, 12))
    assert [said.occurrence.local_date for said in run.said] == [date(2026, 11, 1)]


def after_three_days_down() -> Desk:
    run = a_plan()
    run.run_to(utc(2026, 10, 31, 12))
    run.tick(utc(2026, 11, 3, 16, 30))
    return run


def test_after_an_outage_every_dose_expires_visibly_and_the_follow_up_is_said() -> None:
    run = after_three_days_down()
    told = [said.occurrence.kind for said in run.said if said.at == utc(2026, 11, 3, 16, 30)]
    assert told.count("follow-up-due") == 1
    assert "dose-due" not in told
    expired = [run.rows[one].occurrence for one, _ in run.expired]
    doses = [f"{one.due_at:%m-%d %H}" for one in expired if one.kind == "dose-due"]
    assert doses == ["11-01 00", "11-01 13", "11-02 01", "11-02 13", "11-03 01", "11-03 13"]
