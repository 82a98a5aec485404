"""A World of the adherence service for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from shared.db import make_engine
from tests.integration.adherence.world import World
from tests.support.parts import Database


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    engine = make_engine(database.url("adherence"), service="adherence", pool_size=3)
    one = World(engine)
    await one.set_up()
    yield one
    await engine.dispose()
