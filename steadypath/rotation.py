"""`python -m steadypath.rotation reseal|left SERVICE`: seals again under the present data key what an older one sealed.

Run where the service runs, with its settings. It stands here and not in `shared/`, for it has to know what each service seals.
docs/operations/key-rotation.md has the order of the steps; `shared/rotation.py` does it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from services.adherence.app import SPEC as ADHERENCE
from services.notifier.app import SPEC as NOTIFIER
from services.scheduler.app import SPEC as SCHEDULER
from shared.crypto import CannotOpen, FieldCipher
from shared.db import make_engine
from shared.rotation import left, reseal, tables_of
from shared.service import ServiceSpec
from shared.settings import Settings, SettingsError
from steadypath.errors import DONE, REFUSED

SPECS = {spec.name: spec for spec in (SCHEDULER, NOTIFIER, ADHERENCE)}


def main(argv: Sequence[str]) -> int:
    """Exit codes: 0 done (`left`: nothing is left), 1 something is left or cannot be opened, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m steadypath.rotation", description="Seals again under the present data key.")
    parser.add_argument("command", choices=("reseal", "left"))
    parser.add_argument("service", choices=SPECS)
    arguments = parser.parse_args(argv)
    try:
        settings = Settings.from_env(arguments.service)
        return asyncio.run(_run(arguments.command, SPECS[arguments.service], settings))
    except (SettingsError, CannotOpen) as error:
        print(f"error: {error}", file=sys.stderr)
    except (SQLAlchemyError, OSError) as error:
        print(f"error: the database of {arguments.service} cannot be used ({type(error).__name__})", file=sys.stderr)
    return REFUSED


async def _run(command: str, spec: ServiceSpec, settings: Settings) -> int:
    cipher, tables = FieldCipher.of(settings.data_key), tables_of(spec.name, spec.sealed)
    engine = make_engine(settings.database_url, service=spec.name)
    try:
        if command == "reseal":
            print(f"{spec.name}: {await reseal(engine, tables, cipher)} rows sealed again")
        async with engine.connect() as conn:
            counts = await left(conn, tables, cipher.key_id)
    finally:
        await engine.dispose()
    rest = {name: count for name, count in counts.items() if count}
    print(f"{spec.name}: left under older keys: {rest or 'nothing'}")
    return REFUSED if rest else DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
