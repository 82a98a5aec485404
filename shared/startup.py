"""What must be so before a service takes work: a database that answers, the schema of this release, the first key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from shared import identity
from shared.errors import SteadypathError
from shared.http.problems import is_passing
from shared.logs import log

if TYPE_CHECKING:
    from shared.runtime import Runtime

_ROOT = Path(__file__).resolve().parent.parent
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0


class NotStarted(SteadypathError):
    """The service cannot start; the message is one line for the operator."""


async def wait_for_database(runtime: Runtime, stopping: asyncio.Event) -> bool:
    """Until the database answers (True) or the process is told to stop (False). Being away is no error of a start."""
    pause = _FIRST_PAUSE
    while not stopping.is_set():
        try:
            async with asyncio.timeout(10), runtime.engine.connect() as conn:
                await conn.execute(text("SELECT 1"))
        except Exception as error:
            _refuse_what_waiting_cannot_mend(error)
            log.failure("database not there yet", error, level="warning", retry_in=pause)
        else:
            return True
        try:
            async with asyncio.timeout(pause):
                await stopping.wait()
        except TimeoutError:
            pause = min(pause * 2, _LONGEST_PAUSE)
    return False


def _refuse_what_waiting_cannot_mend(error: Exception) -> None:
    """A wrong password or a missing database is said at once; a server that starts, restarts or is not there is waited for."""
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None)
    if isinstance(sqlstate, str) and sqlstate.startswith(("28", "3D")):
        raise NotStarted("STEADYPATH_DATABASE_URL: the server refuses this user, password or database") from None
    if not is_passing(error) and not isinstance(error, DBAPIError):
        raise error


async def check_schema(runtime: Runtime) -> None:
    """Raises NotStarted where the schema is older than this release, or has not been made. A later one is worked on: that is what
    an upgrade under way and a way back look like to the release before (docs/operations/upgrade.md)."""
    service = runtime.settings.service
    script = await asyncio.to_thread(_script, service)
    found = await _revisions(runtime)
    if found == (set(script.get_heads()) if script else set()):
        return
    known = {revision.revision for revision in script.walk_revisions()} if script else set()
    if found <= known:
        raise NotStarted(f"the database schema of {service} is not at this release: run `python -m shared.db migrate {service}`")
    log.info("schema of a later release", service=service)


def heads(service: str) -> set[str]:
    """The newest revisions that this release has of a service's schema."""
    script = _script(service)
    return set(script.get_heads()) if script else set()


def _script(service: str) -> ScriptDirectory | None:
    """The release's migrations of a service; None where it has none."""
    versions = _ROOT / "services" / service / "migrations" / "versions"
    if not versions.is_dir():
        return None
    return ScriptDirectory(str(_ROOT / "shared" / "migrations"), version_locations=[str(versions)])


async def _revisions(runtime: Runtime) -> set[str]:
    statement = text(f"SELECT version_num FROM {runtime.settings.service}.alembic_version")  # noqa: S608 - a constant of ours
    try:
        async with runtime.engine.connect() as conn:
            return set((await conn.execute(statement)).scalars())
    except ProgrammingError:
        return set()


async def bootstrap_key(runtime: Runtime) -> None:
    """Makes STEADYPATH_KEY, where set, the key that bears all roles of the clinic STEADYPATH_CLINIC."""
    settings = runtime.settings
    if settings.key is None:
        return
    clinic_id = identity.clinic_id_of(settings.clinic)
    async with runtime.engine.begin() as conn:
        await identity.bootstrap(conn, settings.service, clinic_id, settings.key, runtime.clock.now())
