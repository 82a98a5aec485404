"""`python -m tests.support.one_sender`: one sender of the notifier as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import os

from services.notifier.domain.templates import load
from services.notifier.sender import Sender
from services.notifier.twilio_client import Provider
from shared.runtime import Runtime
from shared.settings import Settings


async def main() -> None:
    runtime = Runtime(Settings.from_env("notifier", "worker", os.environ))
    sender = Sender(runtime, Provider(runtime.settings), load())
    while True:
        if not await sender.run(runtime.clock.now()):
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
