"""Pauses by text, and what the care team answers to alerts."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from services.notifier.storage import wishes
from services.notifier.storage.tables import message, open_alert
from tests.integration.notifier.bench import CLINIC, Bench, Someone
from tests.integration.notifier.texts_in import Door, fire, queued, replies, standing

pytestmark = pytest.mark.anyio


async def test_pause_3_days_pauses_the_texts_and_ends_by_itself(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, "pause 3 days")
    known = await standing(bench, who)
    assert (known.texts_paused, known.paused_until) == ("by-patient", bench.now + timedelta(days=3))
    (said,) = await bench.said("texts-paused")
    assert said["contact"]["texts_paused"] == "by-patient"
    await bench.forward(days=3)
    assert await fire(bench, wishes.PAUSE_OVER) == 1
    assert (await standing(bench, who)).texts_paused == "no"
    assert len(await bench.said("texts-resumed")) == 1


async def _alert(bench: Bench, who: Someone, person: Someone, code: str) -> UUID:
    alert_id = uuid4()
    async with bench.runtime.unit() as unit:
        values = {"alert_id": alert_id, "clinic_id": CLINIC, "patient_id": who.id, "alert_version": 1, "code": code, "step": 0}
        values |= {"kind": "missed-check-in", "severity": "high", "state": "open", "dedup_key": code, "recipient_id": person.id}
        await unit.conn.execute(open_alert.insert().values(**values, raised_at=unit.now))
        draft = {
            "id": uuid4(),
            "key": f"alert/{alert_id}/0",
            "clinic_id": CLINIC,
            "contact_id": person.id,
            "person_id": person.id,
        }
        draft |= {"kind": "alert", "template": "alert", "alert_id": alert_id, "cause_id": uuid4(), "cause_type": "alert-raised"}
        times = dict.fromkeys(("due_at", "not_before", "created_at", "changed_at"), unit.now)
        await unit.conn.execute(message.insert().values(**draft, **times, useful_until=unit.now, state="delivered"))
    return alert_id


@pytest.mark.parametrize(
    ("body", "answer"), [("b4x2", "acknowledge"), (" B4 X2 ", "acknowledge"), ("B4X2 done", "resolve"), ("ok", "acknowledge")]
)
async def test_a_clinician_answers_by_code(bench: Bench, door: Door, body: str, answer: str) -> None:
    who, person = await bench.patient(), await bench.staff()
    alert_id = await _alert(bench, who, person, "B4X2")
    await door.text(person, body)
    (said,) = await replies(bench)
    assert (said["about"], said["alert_id"], said["answer"]) == ("alert", str(alert_id), answer)
    assert (said["person_id"], said["patient_id"]) == (str(person.id), str(who.id))


async def test_ok_with_two_open_alerts_is_asked_about_and_lists_nothing(bench: Bench, door: Door) -> None:
    who, person = await bench.patient(), await bench.staff()
    for code in ("B4X2", "C5Y3"):
        await _alert(bench, who, person, code)
    await door.text(person, "ok")
    assert [each["answer"] for each in await replies(bench)] == ["none"]
    (asked,) = await queued(bench, "clarification")
    assert (asked.template, asked.params, asked.person_id) == ("clarify/code", {}, person.id)
