"""`steadypath doctor`: what is set up, what is not, and what to do about it. In the order in which one thing needs the other."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

import aiohttp
import asyncpg
from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaError

from services.notifier.switch import EVERY_CLINIC
from shared.clock import machine_now
from shared.events.registry import TOPICS
from shared.settings import Settings, SettingsError
from steadypath import doctor_ops, doctor_system, state
from steadypath.finding import Finding, show

PATIENCE_SECONDS = 8.0
CLOCKS_APART_SECONDS = 2.0
_MAY_SEE_SWITCH = """SELECT to_regclass('notifier.switch') IS NOT NULL
    AND has_schema_privilege('notifier', 'USAGE') AND has_table_privilege('notifier.switch', 'SELECT') AS may"""
_SWITCHED_OFF = "SELECT clinic_id FROM notifier.switch WHERE state <> 'on'"
_NO_DATABASE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

Check = Callable[[Settings], Awaitable[Finding]]


def run(url: str | None, key: str | None) -> bool:
    """Check and print; True where all is well. Settings of the environment, or of the system at `url` (default: `up`'s)."""
    return asyncio.run(doctor_system.look(state.find(url, key)) if url or not _configured() else _environment())


def _configured() -> bool:
    """Inside a stack the address is a secret, in a file."""
    return any(os.environ.get(f"STEADYPATH_DATABASE_URL{suffix}") for suffix in ("", "_FILE"))


async def _environment() -> bool:
    try:
        settings = Settings.from_env("notifier")
    except SettingsError as error:
        return show("settings", Finding(False, str(error), "set it as .env.example says"))
    passed = show("settings", Finding(True, "as .env.example wants them"))
    for name, check in CHECKS.items():
        passed = show(name, await _within_patience(check, settings)) and passed
    for name, finding in (await doctor_ops.try_here(settings)).items():
        passed = show(name, finding) and passed
    return passed


async def _within_patience(check: Check, settings: Settings) -> Finding:
    try:
        return await asyncio.wait_for(check(settings), PATIENCE_SECONDS)
    except TimeoutError:
        return Finding(False, f"no answer within {PATIENCE_SECONDS:.0f} s", "check the address and what lies between")


async def _database(settings: Settings) -> Finding:
    try:
        connection = await asyncpg.connect(_plain(settings.database_url))
    except _NO_DATABASE as error:
        return _no_database(error)
    try:
        version = await connection.fetchval("show server_version")
        apart = abs((await connection.fetchval("select clock_timestamp()") - machine_now()).total_seconds())
    finally:
        await connection.close()
    if apart > CLOCKS_APART_SECONDS:
        return Finding(
            False, f"its clock and this machine's differ by {apart:.1f} s", "set both with NTP: services stay unready above 2 s"
        )
    return Finding(True, f"PostgreSQL {version}")


def _no_database(error: Exception) -> Finding:
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return Finding(False, "it refuses user or password", "check STEADYPATH_DATABASE_URL, or the file that it comes from")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return Finding(
            False, "it has no database of that name", "check STEADYPATH_DATABASE_URL; `python -m shared.db migrate all`"
        )
    return Finding(
        False, f"cannot connect ({type(error).__name__})", "check host and port in STEADYPATH_DATABASE_URL, and that it runs"
    )


def _plain(url: str) -> str:
    return url.replace("postgresql+asyncpg://", "postgresql://")


async def _broker(settings: Settings) -> Finding:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the finding says it, in one line
    client = AIOKafkaClient(bootstrap_servers=settings.current_kafka_bootstrap(), client_id="steadypath-doctor")
    try:
        await client.bootstrap()
        metadata = await client.fetch_all_metadata()
        missing = sorted(set(TOPICS) - metadata.topics())
    except (KafkaError, OSError) as error:
        return Finding(
            False,
            f"cannot connect ({type(error).__name__})",
            "check host and port in STEADYPATH_KAFKA_BOOTSTRAP, and that it runs",
        )
    finally:
        await client.close()
    if missing:
        return Finding(False, f"topics are missing: {', '.join(missing)}", "python -m shared.messaging.topics makes them")
    return Finding(True, f"Kafka with {len(TOPICS)} topics")


async def _provider(settings: Settings) -> Finding:
    if not settings.twilio_account_sid or not settings.twilio_auth_token:
        return Finding(False, "no credentials", "set STEADYPATH_TWILIO_ACCOUNT_SID and STEADYPATH_TWILIO_AUTH_TOKEN")
    url = f"{settings.twilio_api_base}/2010-04-01/Accounts/{settings.twilio_account_sid}/Messages.json?PageSize=1"
    login = {"Authorization": aiohttp.encode_basic_auth(settings.twilio_account_sid, settings.twilio_auth_token)}
    status = await _status("GET", url, login)
    if status == 200:
        return Finding(True, "the provider takes the credentials")
    if status in (401, 403):
        return Finding(
            False, "the provider refuses the credentials", "compare account sid and auth token with the provider's console"
        )
    if status is None:
        return Finding(False, "nobody answers there", "check STEADYPATH_TWILIO_API_BASE, and that this machine may reach it")
    return Finding(False, f"it does not answer as Twilio does (HTTP {status})", "check STEADYPATH_TWILIO_API_BASE")


async def _webhook(settings: Settings) -> Finding:
    if not settings.public_base_url:
        return Finding(False, "not set", "set STEADYPATH_PUBLIC_BASE_URL to the address under which the provider reaches you")
    status = await _status("POST", f"{settings.public_base_url}/notifier/twilio/inbound")
    if status == 403:
        return Finding(True, "reaches the notifier, which refuses what is not signed")
    if status is None:
        return Finding(False, "nobody answers there", "check STEADYPATH_PUBLIC_BASE_URL, DNS, proxy and firewall")
    said = f"something else than the notifier answers there (HTTP {status}; 403 is right)"
    return Finding(False, said, "check STEADYPATH_PUBLIC_BASE_URL, and that the proxy hands /notifier/ on")


async def _switch(settings: Settings) -> Finding:
    """Read from the notifier's table; where this database role may not, the notifier says it."""
    try:
        connection = await asyncpg.connect(_plain(settings.database_url))
    except _NO_DATABASE:
        return Finding(False, "not to be seen without the database")
    try:
        may = await connection.fetchval(_MAY_SEE_SWITCH)
        off = await connection.fetch(_SWITCHED_OFF) if may else []
    finally:
        await connection.close()
    if not may:
        return Finding(True, "not to be seen with this database role: `steadypath switch` says how it stands")
    if not off:
        return Finding(True, "on: texts go")
    every = any(each["clinic_id"] == EVERY_CLINIC for each in off)
    whose = "every clinic" if every else f"{len(off)} clinic" + ("s" if len(off) > 1 else "")
    return Finding(True, f"texts are OFF for {whose} (`steadypath switch on --reason ...` lets them go again)", note=True)


CHECKS: dict[str, Check] = {
    "database": _database,
    "switch": _switch,
    "broker": _broker,
    "provider": _provider,
    "webhook address": _webhook,
}


async def _status(method: str, url: str, login: dict[str, str] | None = None) -> int | None:
    try:
        headers = login or {}
        async with aiohttp.ClientSession(headers=headers) as session, session.request(method, url, allow_redirects=False) as got:
            return got.status
    except (aiohttp.ClientError, OSError):
        return None
