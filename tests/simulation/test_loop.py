"""The loop of the product, each part real: plan -> due -> text -> answer -> outcome -> a person hears."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.simulation.clinic import Clinic, Patient, Text

CODE = re.compile(r"\b(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-Z0-9]{4,6}\b")


def codes(texts: list[Text]) -> list[str]:
    """The alert codes in clinicians' texts: what they reply with."""
    return [found for text in texts for found in CODE.findall(text.body)]


def local(patient: Patient, text: Text) -> str:
    return text.at.astimezone(patient.zone).strftime("%H:%M")


def test_dose_text_at_eight_local_and_the_answer_counts(clinic: Clinic) -> None:
    patient = clinic.patient("America/Denver")
    patient.start(patient.plan())
    patient.advance(1, "07:59")
    assert patient.texts() == []
    patient.advance(0, "08:01")
    [text] = patient.texts()
    assert local(patient, text) == "08:00"
    patient.reply("1")
    assert patient.happened("dose-due", "dose-taken") == ["dose-due", "dose-taken"]
    patient.advance(0, "23:59")
    assert len(patient.texts()) == 1
    assert patient.happened("dose-taken", "dose-unknown", "dose-missed") == ["dose-taken"]


def test_a_dose_text_names_no_medicine_and_fits_one_segment(clinic: Clinic) -> None:
    patient = clinic.patient()
    plan = patient.plan()
    patient.start(plan)
    patient.advance(1, "08:01")
    [text] = patient.texts()
    assert plan["medicines"][0]["code"]["display"].lower() not in text.body.lower()
    assert len(text.body) <= 160


def test_skipped_is_skipped_and_silence_is_unknown_never_missed(clinic: Clinic) -> None:
    patient = clinic.patient()
    patient.start(patient.plan())
    patient.advance(1, "08:01")
    patient.reply("2")
    patient.advance(2, "07:00")
    assert patient.happened("dose-taken", "dose-skipped", "dose-unknown", "dose-missed") == ["dose-skipped", "dose-unknown"]


def test_a_silent_check_in_reaches_a_clinician_who_acknowledges_by_text(clinic: Clinic) -> None:
    first, second = clinic.staff(), clinic.staff("therapist")
    patient = clinic.patient(chain=((first, "PT1H"), (second, "PT1H")))
    check_in = {"id": "mood", "instrument": "mood", "item": "mood", "first_day": 1, "every_days": 90, "time": "10:00"}
    patient.start(patient.plan(medicines=[], check_ins=[check_in | {"answer_within": "PT4H"}]))
    patient.advance(1, "10:01")
    assert len(patient.texts()) == 1
    patient.advance(0, "14:30")
    assert patient.happened("check-in-missed", "alert-raised") == ["check-in-missed", "alert-raised"]
    [alert] = first.texts()
    assert patient.external not in alert.body
    [code] = codes([alert])
    first.reply(code.lower())
    assert patient.happened("alert-acknowledged") == ["alert-acknowledged"]
    patient.advance(2, "12:00")
    assert len(codes(first.texts())) == 1
    assert second.texts() == []


def test_an_alert_nobody_answers_goes_to_the_next_in_the_chain(clinic: Clinic) -> None:
    first, second = clinic.staff(), clinic.staff("therapist")
    patient = clinic.patient(chain=((first, "PT1H"), (second, "PT1H")))
    check_in = {"id": "mood", "instrument": "mood", "item": "mood", "first_day": 1, "every_days": 90, "time": "10:00"}
    patient.start(patient.plan(medicines=[], check_ins=[check_in | {"answer_within": "PT2H"}]))
    patient.advance(1, "12:10")
    assert len(first.texts()) == 1
    assert second.texts() == []
    patient.advance(0, "13:30")
    [code] = codes(second.texts())
    second.reply(code)
    assert patient.happened("alert-escalated", "alert-acknowledged") == ["alert-escalated", "alert-acknowledged"]


def test_an_answered_check_in_raises_nothing(clinic: Clinic) -> None:
    first = clinic.staff()
    patient = clinic.patient(chain=((first, "PT1H"),))
    check_in = {"id": "mood", "instrument": "mood", "item": "mood", "first_day": 1, "every_days": 90, "time": "10:00"}
    patient.start(patient.plan(medicines=[], check_ins=[check_in | {"answer_within": "PT4H"}]))
    patient.advance(1, "10:05")
    patient.reply("7")
    patient.advance(2, "12:00")
    assert patient.happened("check-in-answered", "check-in-missed", "alert-raised") == ["check-in-answered"]
    assert first.texts() == []


def test_a_follow_up_with_nothing_on_record_is_unrecorded_not_missed(clinic: Clinic) -> None:
    first = clinic.staff()
    patient = clinic.patient(chain=((first, "PT1H"),))
    follow_up = {"id": "first-review", "due_day": 1, "deadline_day": 3, "time": "10:00"}
    patient.start(patient.plan(medicines=[], follow_ups=[follow_up]))
    patient.advance(1, "10:01")
    assert len(patient.texts()) == 1
    patient.advance(4, "12:00")
    outcomes = patient.happened("follow-up-kept", "follow-up-missed", "follow-up-unrecorded")
    assert outcomes == ["follow-up-unrecorded"]
    [alert] = first.texts()
    assert "unrecorded" in alert.body.lower()
    assert "missed" not in alert.body.lower()


def test_a_follow_up_that_a_person_recorded_raises_nothing(clinic: Clinic) -> None:
    first = clinic.staff()
    patient = clinic.patient(chain=((first, "PT1H"),))
    follow_up = {"id": "first-review", "due_day": 1, "deadline_day": 3, "time": "10:00"}
    patient.start(patient.plan(medicines=[], follow_ups=[follow_up]))
    patient.advance(1, "10:01")
    patient.reply("1")
    patient.advance(5, "12:00")
    assert patient.happened("follow-up-kept", "follow-up-missed", "follow-up-unrecorded") == ["follow-up-kept"]
    assert first.texts() == []


def test_a_dose_change_withdraws_what_the_old_version_planned(clinic: Clinic) -> None:
    patient = clinic.patient()
    plan = patient.plan(slots={"morning": "08:00", "evening": "20:00"})
    both = [{"slot": slot, "quantity": "1", "unit": "tablet"} for slot in ("morning", "evening")]
    plan["medicines"][0]["steps"] = [{"from_day": 1, "doses": both}]
    patient.start(plan)
    patient.advance(1, "12:00")
    assert len(patient.texts()) == 1
    change = {"medicine": "m1", "effective_on": patient.today().isoformat(), "doses": both[:1], "reason": "side-effects"}
    clinic.call("POST", f"/scheduler/patients/{patient.external}/plan/dose-change", change)
    patient.advance(1, "12:00")
    assert [local(patient, text) for text in patient.texts()] == ["08:00", "08:00"]
    assert "dose-changed" in patient.happened("dose-changed")


def test_stop_ends_every_text_and_start_brings_them_back(clinic: Clinic) -> None:
    patient = clinic.patient()
    patient.start(patient.plan())
    patient.advance(1, "08:01")
    patient.reply("STOP")
    before = len(patient.texts())
    patient.advance(2, "12:00")
    assert len(patient.texts()) == before
    unknown = [event for event in patient.timeline() if event["kind"] == "dose-unknown"]
    assert unknown, "a dose that was not asked about is unknown, not forgotten"
    assert patient.happened("dose-missed") == []
    patient.reply("START")
    patient.advance(1, "08:01")
    assert local(patient, patient.texts()[-1]) == "08:00"


def test_risk_wording_gets_the_safe_reply_at_once_and_a_crisis_alert(clinic: Clinic) -> None:
    first = clinic.staff("therapist")
    patient = clinic.patient(chain=((first, "PT1H"),))
    patient.start(patient.plan())
    patient.advance(1, "02:00")
    patient.reply(clinic.canaries.words("I want to kill myself"))
    [safe] = patient.texts()
    assert "988" in safe.body
    assert safe.at - clinic.now() < timedelta(minutes=2)
    assert patient.happened("risk-heard", "crisis-flagged", "alert-raised") == ["risk-heard", "crisis-flagged", "alert-raised"]
    assert first.texts(), "a crisis alert waits for no window"
    patient.advance(0, "09:00")
    assert len(patient.texts()) == 1, "routine texts are paused until a named clinician resumes them"
    clinic.call("POST", f"/notifier/patients/{patient.external}/resume-texts", {"reason": "spoke by phone, safe"})
    patient.advance(1, "08:01")
    assert local(patient, patient.texts()[-1]) == "08:00"


def test_a_send_in_doubt_is_unconfirmed_then_settled_and_never_sent_twice(clinic: Clinic) -> None:
    patient = clinic.patient()
    patient.start(patient.plan())
    patient.advance(1, "12:00")  # the welcome is out; the faults are for the next dose
    late = {"fault": "late-callback", "times": 1, "to": patient.number, "delay": "PT5M"}
    clinic.faults({"fault": "drop-after-accept", "times": 1, "to": patient.number}, late)
    patient.advance(1, "08:00")
    assert doses(patient) == ["delivered", "unconfirmed"]
    patient.advance(0, "09:00")
    clinic.faults()
    assert doses(patient) == ["delivered", "delivered"]
    assert len(patient.texts()) == 2


def doses(patient: Patient) -> list[str]:
    """What became of each dose text, oldest first."""
    return [message["status"] for message in patient.messages() if message["kind"] == "dose"]
