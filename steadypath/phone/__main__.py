"""`python -m steadypath.phone`: the phone simulator as a process of its own. Settings are STEADYPATH_*."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
import sys
from dataclasses import replace

import uvicorn

from shared.logs import configure
from steadypath.phone.app import DroppableProtocol, simulator
from steadypath.phone.settings import PhoneSettings, clock_of


def main(arguments: list[str] | None = None) -> int:
    """Serves until told to stop. Exit codes: 0 stopped, 1 could not start, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="steadypath.phone", description="A stand-in for Twilio, with a page of phones.")
    parser.add_argument("--host", help="address to listen on (default STEADYPATH_PHONE_HOST, 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default STEADYPATH_PHONE_PORT, 8090)")
    given = parser.parse_args(arguments)
    configure("phone", "simulator")
    # uvicorn stops in good order on a signal and then raises it once more: by then it must end this process with 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = PhoneSettings.from_env(os.environ)
        settings = replace(settings, host=given.host or settings.host, port=given.port or settings.port)
        asyncio.run(_serve(settings))
    except (OSError, ValueError, sqlite3.Error) as error:
        print(f"phone simulator: cannot run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


async def _serve(settings: PhoneSettings) -> None:
    async with simulator(settings, clock_of(settings)) as app:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=DroppableProtocol,
            access_log=False,  # a list query holds a phone number
            log_config=None,
            timeout_graceful_shutdown=2,
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    sys.exit(main())
