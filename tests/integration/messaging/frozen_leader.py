"""A relay in a process of its own that says when its records are acknowledged, and waits there for a line before it remembers."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sys import path, stdin, stdout

path.insert(0, str(Path(__file__).resolve().parents[3]))

from shared.db import make_engine
from shared.messaging.knobs import Knobs
from shared.messaging.memory import Chunk, Lease
from shared.messaging.relay import Relay


class FrozenRelay(Relay):
    async def _remember(self, chunk: Chunk, lease: Lease) -> None:
        print("published", file=stdout, flush=True)
        # The test freezes this very process here, and wakes it only when another leads.
        await asyncio.to_thread(stdin.readline)
        await super()._remember(chunk, lease)


async def main() -> None:
    engine = make_engine(os.environ["TEST_URL"], service="scheduler")
    knobs = Knobs(lease=timedelta(seconds=1))
    relay = FrozenRelay(engine=engine, service="scheduler", bootstrap=lambda: os.environ["TEST_KAFKA"], knobs=knobs)
    await relay.run(datetime(2026, 12, 1, tzinfo=UTC))
    if relay.counts.lease_lost:
        print("lost the lease", file=stdout, flush=True)
    await relay.stop()
    await engine.dispose()


asyncio.run(main())
