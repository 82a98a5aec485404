"""Texts from numbers that nobody on file has: the crisis line for risk wording, and who hears of it (DESIGN.md rules 6 and 8)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from services.notifier import strangers
from services.notifier.hearing import hear
from services.notifier.storage import heard
from services.notifier.storage.heard import Inbound
from services.notifier.storage.hearing_tables import clinic_settings
from shared.db import metadata_for
from shared.house_tables import house_tables
from tests.integration.notifier.bench import CLINIC, LINE, Bench, Someone
from tests.integration.notifier.texts_in import Door, dispositions, fire, queued, rows

pytestmark = pytest.mark.anyio
STRANGER = "+12125559999"
RISK = "I want to die"


async def on_call(bench: Bench, **changes: object) -> Someone:
    """The clinic's crisis contact."""
    person = await bench.staff()
    async with bench.runtime.unit() as unit:
        mine = update(clinic_settings).where(clinic_settings.c.clinic_id == CLINIC)
        await unit.conn.execute(mine.values(crisis_contact_id=person.id, **changes))
    return person


async def notices(bench: Bench) -> list[str]:
    async with bench.runtime.unit() as unit:
        kinds = await unit.conn.execute(select(house_tables(metadata_for("notifier")).ops_notice.c.kind))
        return list(kinds.scalars())


async def bodies(bench: Bench, number: str) -> list[str]:
    threads = (await bench.http.get("/phone/threads")).raise_for_status().json()
    texts: list[dict[str, Any]] = next((each["messages"] for each in threads if each["number"] == number), [])
    return [text["body"] for text in texts if text["direction"] == "outbound"]


async def watch(bench: Bench, minutes: int) -> int:
    """Time passes, and the watch fires where it is due; how often."""
    await bench.forward(minutes=minutes)
    fired = await fire(bench, strangers.WATCH)
    await bench.settle()
    return fired


async def test_risk_wording_of_an_unknown_number_gets_the_crisis_line_at_once(bench: Bench, door: Door) -> None:
    await on_call(bench)
    await door.text(STRANGER, RISK)
    (safe,) = await queued(bench, "safe-reply")
    assert (safe.patient_id, safe.person_id, safe.cause_type) == (None, None, "risk-heard")
    await bench.settle()
    (body,) = await bodies(bench, STRANGER)
    assert "988" in body
    assert "team" not in body
    (said,) = await bench.said("risk-heard")
    assert (said["clinic_id"], said["patient_id"], said["category"], said["safe_reply"]) == (str(CLINIC), None, "suicide", "sent")
    assert "message-sent" in await bench.names()


async def test_the_line_is_that_of_the_clinic_whose_number_was_texted(bench: Bench, door: Door) -> None:
    await on_call(bench, country="GB")
    await door.text(STRANGER, RISK)
    await bench.settle()
    assert "116 123" in (await bodies(bench, STRANGER))[0]


async def test_an_unknown_number_gets_three_safe_replies_an_hour(bench: Bench, door: Door) -> None:
    for _ in range(5):
        await door.text(STRANGER, RISK)
    await bench.settle()
    assert len(await bodies(bench, STRANGER)) == 3
    await bench.forward(minutes=61)
    await door.text(STRANGER, RISK)
    await bench.settle()
    assert len(await bodies(bench, STRANGER)) == 4


@pytest.mark.parametrize(("then", "answered"), [(None, 0), ("START", 1)])
async def test_never_past_an_earlier_opt_out(bench: Bench, door: Door, then: str | None, answered: int) -> None:
    await door.text(STRANGER, "please stop texting me")
    if then:
        await door.text(STRANGER, then)
    await door.text(STRANGER, RISK)
    assert len(await queued(bench, "safe-reply")) == answered
    (said,) = await bench.said("risk-heard")
    assert said["safe_reply"] == ("sent" if answered else "no-text-possible")


async def test_a_stop_before_the_safe_reply_has_left_stands_but_not_one_in_the_same_text(bench: Bench, door: Door) -> None:
    await door.text(STRANGER, RISK)
    await door.text(STRANGER, "stop texting me")
    await door.text("+12125559998", f"{RISK}, stop texting me")
    await bench.settle()
    assert await bodies(bench, STRANGER) == []
    assert len(await bodies(bench, "+12125559998")) == 1
    assert await dispositions(bench) == ["unknown-number", "opt-out", "opt-out"]


async def test_the_crisis_contact_is_paged_until_somebody_has_read_it(bench: Bench, door: Door) -> None:
    person = await on_call(bench)
    await door.text(STRANGER, f"{RISK} zebrafinch")
    await door.text(STRANGER, RISK)
    await bench.settle()
    (page,) = await bench.phone_of(person)
    assert "risk wording, number not on file" in page["body"]
    assert "crisis" in page["body"]
    assert STRANGER[1:] not in page["body"]
    assert await watch(bench, 5) == 1
    assert len(await bench.phone_of(person)) == 2
    assert "risk-not-read" in await notices(bench)
    async with bench.runtime.unit() as unit:
        for row in await rows(bench):
            await heard.mark_read(unit, row.id)
    assert await watch(bench, 5) == 1
    assert await watch(bench, 10) == 0
    assert len(await bench.phone_of(person)) == 2
    assert "zebrafinch" not in json.dumps(await bench.said())


async def test_ok_of_the_crisis_contact_takes_it_over(bench: Bench, door: Door) -> None:
    person, other = await on_call(bench), await bench.staff()
    await door.text(STRANGER, RISK)
    await door.text(other, "ok")
    assert [row.read_at for row in await rows(bench)] == [None, None]
    await door.text(person, "ok")
    assert await dispositions(bench) == ["unknown-number", "not-understood", "alert-answer"]
    assert (await rows(bench))[0].read_at is not None


async def test_where_the_clinic_names_nobody_ops_hears(bench: Bench, door: Door) -> None:
    await door.text(STRANGER, RISK)
    assert await notices(bench) == ["risk-from-no-patient"]


async def test_whom_the_clinic_names_later_is_paged_for_the_next_text(bench: Bench, door: Door) -> None:
    await door.text(STRANGER, RISK)
    person = await on_call(bench)
    await door.text(STRANGER, RISK)
    await door.text(STRANGER, RISK)
    await bench.settle()
    assert len(await bench.phone_of(person)) == 1


async def test_a_number_of_ours_that_no_clinic_has_is_answered_by_the_first_clinic(bench: Bench) -> None:
    async with bench.runtime.unit() as unit:
        await hear(unit, Inbound("SM1", STRANGER, "+15005550009", RISK, "webhook"), CLINIC)
    await bench.settle()
    assert len(await bodies(bench, STRANGER)) == 1
    assert LINE != "+15005550009"
