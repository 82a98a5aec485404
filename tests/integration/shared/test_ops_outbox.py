"""Ops hears once when what a service has to say does not reach Kafka, and once when it does again. On real time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast
from uuid import uuid4

import pytest

from shared.events.base import stable_id
from shared.identity import clinic_id_of
from shared.ops import OpsPass
from shared.ops.channels import Webhook
from shared.runtime import Runtime
from tests.integration.shared.conftest import House
from tests.support.pager import Pager, paging
from tests.support.toy import review_due

PATIENT = stable_id(clinic_id_of("clinic"), "patient", "p-1")


@pytest.fixture
async def runtime(house: House) -> AsyncIterator[Runtime]:
    """The same service on the machine's own clock."""
    real = Runtime(replace(house.runtime.settings, clock_page=None))
    yield real
    await real.engine.dispose()


async def look(runtime: Runtime, pager: Pager) -> list[str]:
    """The kinds that a process which has just started says."""
    before = len(pager.got)
    work = OpsPass(runtime, channels=[Webhook(pager.url)])
    for _look_and_deliver in range(2):
        await work.run(runtime.clock.now())
    return [cast("str", said["kind"]) for said in pager.got[before:]]


async def say(runtime: Runtime) -> None:
    async with runtime.unit() as unit:
        unit.emit(review_due(clinic_id_of("clinic"), PATIENT, unit.now), event_id=uuid4())


async def test_an_outbox_that_grows_old_is_said_once_and_its_recovery_once(house: House, runtime: Runtime) -> None:
    with paging() as pager:
        await say(runtime)
        assert await look(runtime, pager) == [], "a second old"
        house.database.sql("UPDATE scheduler.outbox SET created_at = created_at - interval '61 seconds'")
        assert await look(runtime, pager) == ["outbox-old"]
        [said] = pager.got
        details = cast("dict[str, int]", said["details"])
        assert details["unsent"] == 1
        assert 61 <= details["oldest_seconds"] < 120
        await say(runtime)
        assert await look(runtime, pager) == [], "still the same outage"
        house.database.sql("DELETE FROM scheduler.outbox")
        assert await look(runtime, pager) == ["outbox-well"]
        assert await look(runtime, pager) == []
        await say(runtime)
        house.database.sql("UPDATE scheduler.outbox SET created_at = created_at - interval '90 seconds'")
        assert await look(runtime, pager) == ["outbox-old"], "another outage"
