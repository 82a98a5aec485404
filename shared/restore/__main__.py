"""`python -m shared.restore begin|status SERVICE`: run where the service runs, with its STEADYPATH_DATABASE_URL."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from shared.db import make_engine
from shared.events.registry import SERVICES
from shared.restore import mode
from shared.restore.mode import Restored
from shared.schema import setting


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done, 1 it cannot be, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m shared.restore", description="A database that was restored, and its way back."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    beginning = commands.add_parser("begin", help="say that this service's database was restored; none of its processes may run")
    beginning.add_argument(
        "--since", type=_instant, metavar="INSTANT", help="when the backup was made (default: the last that it says)"
    )
    asking = commands.add_parser("status", help="whether it was, and what the service found")
    for each in (beginning, asking):
        each.add_argument("service", choices=SERVICES)
    args = parser.parse_args(argv)
    try:
        return asyncio.run(run(args.command, args.service, getattr(args, "since", None)))
    except (SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"error: the database of {args.service} cannot be used ({type(error).__name__})\n")
        return 1


def _instant(raw: str) -> datetime:
    at = datetime.fromisoformat(raw)
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError("an instant with its offset, such as 2026-11-23T04:00:00+00:00, is needed")
    return at


async def run(command: str, service: str, since: datetime | None = None, url: str | None = None) -> int:
    """Carries out the command with the service's own address (default: the setting)."""
    url = url or setting("STEADYPATH_DATABASE_URL")
    if not url:
        raise SystemExit("error: STEADYPATH_DATABASE_URL is needed")
    engine = make_engine(url, service=service)
    try:
        async with engine.begin() as conn:
            known = await mode.begin(conn, service, since) if command == "begin" else await mode.read(conn, service)
    finally:
        await engine.dispose()
    sys.stdout.write(f"{service}: {_shown(known)}\n")
    return 0


def _shown(known: Restored | None) -> str:
    if known is None:
        return "this database was never restored"
    since = known.since.isoformat() if known.since else "not known"
    found = ", ".join(f"{name} {value}" for name, value in sorted(known.found.items()))
    return f"{known.state}; said last {since}; versions above {known.version_base}; {found or 'nothing found yet'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
