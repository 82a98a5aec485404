"""Our own parts fail a patient: a safe reply that did not arrive (rule 6), a key that waits for an operator (rule 10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.events import due, messages
from shared.messaging.unit import Unit
from shared.messaging.work import KEY_PARKED
from tests.integration.adherence.world import CIPHER, CLINIC, FIRST, HOUR, START, World

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)


def risk(world: World, safe_reply: str = "sent") -> messages.RiskHeardV1:
    ids = {"clinic_id": CLINIC, "patient_id": world.patient, "reply_id": uuid4()}
    return messages.RiskHeardV1(**ids, at=world.now, category="unspecified", safe_reply=safe_reply)


@pytest.mark.parametrize("kind", ["withheld", "undelivered", "unconfirmed"])
async def test_a_safe_reply_that_did_not_arrive_turns_the_alert_into_a_call(world: World, kind: str) -> None:
    await world.hear(risk(world))
    [raised] = await world.said("alert-raised")
    assert not raised["alert"]["no_text_possible"]
    ids: dict[str, Any] = {"clinic_id": CLINIC, "patient_id": world.patient, "message_id": uuid4(), "kind": "safe-reply"}
    texts = {
        "withheld": messages.MessageWithheldV1(**ids, at=world.now, why="rejected-by-provider"),
        "undelivered": messages.MessageUndeliveredV1(**ids, at=world.now),
        "unconfirmed": messages.MessageUnconfirmedV1(**ids, at=world.now, final=True),
    }
    await world.hear(texts[kind])
    [again] = await world.said("alert-escalated")
    assert (again["why"], again["alert"]["no_text_possible"]) == ("reminder", True)
    assert again["alert"]["recipient_id"] == str(FIRST)


async def park(world: World) -> None:
    async with world.engine.begin() as conn:
        await conn.exec_driver_sql(
            "insert into adherence.due_work (kind, ref, key, clinic_id, due_at, attempts, state, error)"
            f" values ('other', 'x', '{world.patient}', '{CLINIC}', '2026-11-24T15:00Z', 5, 'parked', 'Broken')"
        )


@pytest.mark.parametrize("released", [False, True])
async def test_the_clinic_hears_of_a_key_that_is_still_parked(world: World, released: bool) -> None:
    async with world.engine.begin() as conn:
        unit = Unit(conn, now=world.now, service="adherence", cipher=CIPHER)
        for number in range(2):
            await unit.plan_work(KEY_PARKED, f"{number}", START + 30 * MINUTE, key=world.patient, clinic_id=CLINIC)
        await unit.flush()
    if not released:
        await park(world)
    await world.until(START + HOUR)
    kinds = [event["alert"]["kind"] for event in await world.said("alert-raised")]
    assert kinds == ([] if released else ["record-incomplete"])


async def test_the_clinic_hears_what_the_other_services_hold_back(world: World) -> None:
    """The scheduler says so by itself; the notifier with the first text that it withholds."""
    fields = world._due("key-parked", START, 1, HOUR)
    await world.hear(due.ReviewDueV1(**fields, reason="key-parked"))
    await world.hear(world.text("withheld", world.dose_due(START), why="key-parked"))
    assert [event["alert"]["kind"] for event in await world.said("alert-raised")] == ["record-incomplete"]
