"""The notifier's database is put back: no text goes twice, a STOP of the forgotten time stands, everything else goes on."""

from __future__ import annotations

import pytest

from tests.integration.restore.patients import everything, hours, texts_a_slot, three_a_day
from tests.integration.restore.restored import World

pytestmark = pytest.mark.slow


def test_no_text_goes_twice_and_a_stop_stands(world: World) -> None:
    clinic = world.clinic
    goes_on, stops, writes = everybody = [three_a_day(clinic) for _ in range(3)]
    goes_on.advance(1, "09:00")
    backup = world.backup("notifier", "t0")
    goes_on.advance(0, "12:30")
    stops.reply("STOP")
    writes.reply("1")
    goes_on.advance(0, "18:30")
    assert [sum(hours(each).values()) for each in everybody] == [3, 2, 3]
    before = everything(*everybody)
    world.restored("notifier", backup)
    found = world.rows("select found->>'texts_heard', found->>'texts_in_doubt' from notifier.restore_mode where state = 'done'")
    assert found == ["2|0"], "both texts were heard before anything could leave, and no text is in doubt"
    clinic.settle()
    assert everything(*everybody) == before, "nothing is sent again"
    assert clinic.call("GET", f"/notifier/patients/{stops.external}")["opted_out"] is True
    goes_on.advance(1, "18:30")
    assert [sum(hours(each).values()) for each in everybody] == [6, 2, 6], "what is due goes on"
    assert texts_a_slot(*everybody) == 1
    assert writes.happened("dose-taken") == ["dose-taken"], "an answer heard again is the answer that it was"


def test_where_kafka_forgot_as_well_what_cannot_be_told_apart_is_in_doubt(world: World) -> None:
    clinic = world.clinic
    asked, other = clinic.patient(), clinic.patient()
    check_in = {"id": "mood", "instrument": "mood", "item": "mood", "first_day": 1, "every_days": 90, "time": "07:00"}
    for patient, time in ((asked, "07:00"), (other, "11:00")):
        one = check_in | {"time": time, "answer_within": "PT24H"}
        patient.start(patient.plan(medicines=[], check_ins=[one]))
    asked.advance(1, "07:30")
    assert [each["status"] for each in asked.messages()][-1] == "queued", "it waits for the morning's window"
    backup = world.backup("notifier", "t0")
    asked.advance(0, "10:00")
    assert len(asked.texts()) == 1
    world.stop("notifier")
    world.put_back("notifier", backup)
    world.begin("notifier")
    world.new_broker()
    clinic.settle()
    asked.advance(0, "20:00")
    assert len(asked.texts()) == 1, "what may be on the phone is never sent again"
    assert [each["status"] for each in asked.messages()][-1] == "unconfirmed", "and says so"
    assert len(other.texts()) == 1, "who was not texted since the backup is texted"
