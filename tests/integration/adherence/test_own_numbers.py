"""A clinic's own numbers at the alerts: how loud a kind is, and in which hours a low one waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.adherence.storage import people
from services.adherence.storage.people import Clinic, Member
from shared.messaging.unit import Unit
from tests.integration.adherence.world import CIPHER, CLINIC, ON_CALL, World

pytestmark = pytest.mark.anyio


async def clinic_has(world: World, **numbers: str) -> None:
    async with world.engine.begin() as conn:
        unit = Unit(conn, now=world.now, service="adherence", cipher=CIPHER)
        on_call = (Member(ON_CALL, timedelta(minutes=30)),)
        await people.put_clinic(unit, CLINIC, Clinic("America/New_York", on_call, numbers=numbers))


async def test_the_clinics_own_severity_counts(world: World) -> None:
    await clinic_has(world, severity_message_to_read="high")
    await world.hear(world.reply("nothing", "none"))
    [raised] = await world.said("alert-raised")
    assert raised["alert"]["severity"] == "high"


async def test_the_clinics_own_hours_count(world: World) -> None:
    """10:00 in New York: the half hour of the first in the chain begins when the clinic does, at noon."""
    await clinic_has(world, low_from="12:00")
    await world.hear(world.reply("nothing", "none"))
    [raised] = await world.said("alert-raised")
    assert datetime.fromisoformat(raised["alert"]["deadline_at"]) == datetime(2026, 11, 24, 17, 30, tzinfo=UTC)
