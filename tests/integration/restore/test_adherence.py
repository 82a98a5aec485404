"""The adherence service's database is put back: nobody is paged twice, and the timeline is whole again."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.integration.restore.patients import hours, plan
from tests.integration.restore.restored import World
from tests.simulation.clinic import Patient
from tests.simulation.test_loop import codes

pytestmark = pytest.mark.slow
CHECK_IN = {
    "id": "mood",
    "instrument": "mood",
    "item": "mood",
    "first_day": 1,
    "every_days": 90,
    "time": "10:00",
    "answer_within": "PT4H",
}


def happened(patient: Patient) -> Counter[str]:
    return Counter(event["kind"] for event in patient.timeline())


def test_no_alert_is_raised_twice_and_the_timeline_is_whole(world: World) -> None:
    clinic = world.clinic
    first, second = clinic.staff(), clinic.staff("therapist")
    patient = clinic.patient(chain=((first, "PT1H"), (second, "PT1H")))
    patient.start(plan(patient, check_ins=[CHECK_IN]))
    crisis = clinic.patient(chain=((first, "PT1H"),))
    patient.advance(1, "09:00")
    backup = world.backup("adherence", "t0")
    patient.advance(0, "12:01")
    patient.reply("1")
    crisis.reply("I want to kill myself")
    for code in codes(first.texts()):
        first.reply(code)
    patient.advance(0, "14:30")
    patient.advance(0, "18:30")
    paged = [len(first.texts()), len(second.texts())]
    assert paged[0] >= 2, "one page of the crisis, one of the silence"
    before = [happened(patient), happened(crisis)]
    open_before = sorted(alert["id"] for alert in clinic.call("GET", "/adherence/alerts?state=open"))
    world.restored("adherence", backup)
    clinic.settle()
    assert [len(first.texts()), len(second.texts())] == paged, "nobody is paged again"
    assert [happened(patient), happened(crisis)] == before, "the timeline is what it was"
    assert sorted(alert["id"] for alert in clinic.call("GET", "/adherence/alerts?state=open")) == open_before
    patient.advance(1, "08:01")
    patient.reply("1")
    assert patient.happened("dose-taken") == ["dose-taken", "dose-taken"], "what comes goes on"
    assert max(hours(patient).values()) == 1
