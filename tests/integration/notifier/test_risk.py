"""Risk wording of those on file: the safe reply, its bound, the watch (DESIGN.md rule 6). Strangers: test_strangers."""

from __future__ import annotations

from uuid import uuid4

import pytest

from services.notifier import crisis_watch
from services.notifier.storage.hearing_tables import clinic_settings
from shared.events.adherence import CrisisFlaggedV1
from tests.integration.notifier.bench import CLINIC, Bench
from tests.integration.notifier.texts_in import Door, dispositions, fire, queued, rows, standing

pytestmark = pytest.mark.anyio
CANARY = "zebrafinch"


async def test_risk_gets_the_safe_reply_and_pauses_the_texts(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, f"I want to die {CANARY}")
    await bench.settle()
    assert "988" in (await bench.phone_of(who))[-1]["body"]
    assert (await standing(bench, who)).texts_paused == "crisis"
    (heard,) = await bench.said("risk-heard")
    assert (heard["category"], heard["safe_reply"]) == ("suicide", "sent")
    # No text resumes a crisis pause.
    await door.text(who, "resume")
    assert (await standing(bench, who)).texts_paused == "crisis"


async def test_risk_and_opt_out_in_one_text_safe_reply_first_then_the_opt_out_stands(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    await door.text(who, "stop texting me I want to kill myself")
    await bench.settle()
    assert "988" in (await bench.phone_of(who))[0]["body"]
    assert (await standing(bench, who)).opted_out
    # After an earlier opt-out no safe reply goes: the alert says call.
    await door.text(who, "I want to die")
    await bench.forward(minutes=1)
    assert sum("988" in text["body"] for text in await bench.phone_of(who)) == 1
    assert [each["safe_reply"] for each in await bench.said("risk-heard")] == ["sent", "no-text-possible"]


async def test_no_more_than_three_safe_replies_an_hour(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    for _ in range(5):
        await door.text(who, "I want to die")
    assert len(await queued(bench, "safe-reply")) == 3
    assert len(await bench.said("risk-heard")) == 5


async def test_no_more_than_five_other_answers_an_hour(bench: Bench, door: Door) -> None:
    who = await bench.patient()
    for _ in range(8):
        await door.text(who, "help!")
    assert len(await queued(bench, "help")) == 5
    assert await dispositions(bench) == ["help"] * 8


async def test_the_crisis_watch_pages_until_it_is_flagged(bench: Bench, door: Door) -> None:
    who, on_call = await bench.patient(), await bench.staff()
    async with bench.runtime.unit() as unit:
        await unit.conn.execute(clinic_settings.update().values(crisis_contact_id=on_call.id))
    await door.text(who, "I want to die")
    assert await fire(bench, crisis_watch.WATCH) == 0
    await bench.forward(minutes=2)
    assert await fire(bench, crisis_watch.WATCH) == 1
    await bench.settle()
    (page,) = await bench.phone_of(on_call)
    assert "risk wording" in page["body"]
    reply_id = (await rows(bench))[0].id
    await bench.hear(CrisisFlaggedV1(clinic_id=CLINIC, patient_id=who.id, reply_id=reply_id, alert_id=uuid4(), at=bench.now))
    await bench.forward(hours=1)
    assert await fire(bench, crisis_watch.WATCH) == 0


async def test_risk_wording_of_a_clinician_gets_the_crisis_line_too(bench: Bench, door: Door) -> None:
    person = await bench.staff()
    await door.text(person, "I want to die")
    (safe,) = await queued(bench, "safe-reply")
    assert (safe.person_id, safe.patient_id) == (person.id, None)
    assert await queued(bench, "clarification") == []
    await bench.settle()
    assert "988" in (await bench.phone_of(person))[-1]["body"]
