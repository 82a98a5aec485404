"""`steadypath doctor`: what is set up, what is not, and what to do about it. In the order in which one thing needs the other."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import asyncpg
from aiokafka import AIOKafkaClient
from aiokafka.errors import KafkaError

from shared.clock import machine_now
from shared.events.registry import TOPICS
from shared.settings import Settings, SettingsError
from steadypath import state
from steadypath.errors import CommandError

PATIENCE_SECONDS = 8.0
CLOCKS_APART_SECONDS = 2.0


@dataclass(frozen=True)
class Finding:
    """One check's outcome. `said` and `fix` hold no secret and nothing about patients."""

    passed: bool
    said: str
    fix: str = ""


Check = Callable[[Settings], Awaitable[Finding]]


def run(url: str | None, key: str | None) -> bool:
    """Check and print; True where all is well. Settings of the environment, or of the system at `url` (default: `up`'s)."""
    return asyncio.run(_system(state.find(url, key)) if url or not _configured() else _environment())


def _configured() -> bool:
    """Inside a stack the address is a secret, in a file."""
    return any(os.environ.get(f"STEADYPATH_DATABASE_URL{suffix}") for suffix in ("", "_FILE"))


async def _environment() -> bool:
    try:
        settings = Settings.from_env("notifier")
    except SettingsError as error:
        return _print("settings", Finding(False, str(error), "set it as .env.example says"))
    passed = _print("settings", Finding(True, "complete"))
    for name, check in CHECKS.items():
        passed = _print(name, await _within_patience(check, settings)) and passed
    return passed


async def _within_patience(check: Check, settings: Settings) -> Finding:
    try:
        return await asyncio.wait_for(check(settings), PATIENCE_SECONDS)
    except TimeoutError:
        return Finding(False, f"no answer within {PATIENCE_SECONDS:.0f} s", "check the address and what lies between")


async def _database(settings: Settings) -> Finding:
    try:
        connection = await asyncpg.connect(settings.database_url.replace("postgresql+asyncpg://", "postgresql://"))
    except (OSError, asyncpg.PostgresError) as error:
        return Finding(
            False,
            f"cannot connect ({type(error).__name__})",
            "check STEADYPATH_DATABASE_URL and `python -m shared.db migrate all`",
        )
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


async def _broker(settings: Settings) -> Finding:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the finding says it, in one line
    client = AIOKafkaClient(bootstrap_servers=settings.current_kafka_bootstrap(), client_id="steadypath-doctor")
    try:
        await client.bootstrap()
        metadata = await client.fetch_all_metadata()
        missing = sorted(set(TOPICS) - metadata.topics())
    except (KafkaError, OSError) as error:
        return Finding(False, f"cannot connect ({type(error).__name__})", "check STEADYPATH_KAFKA_BOOTSTRAP")
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
    return Finding(False, f"the provider did not answer as Twilio does ({_shown(status)})", "check STEADYPATH_TWILIO_API_BASE")


async def _webhook(settings: Settings) -> Finding:
    if not settings.public_base_url:
        return Finding(False, "not set", "set STEADYPATH_PUBLIC_BASE_URL to the address under which the provider reaches you")
    status = await _status("POST", f"{settings.public_base_url}/notifier/twilio/inbound")
    if status == 403:
        return Finding(True, "reaches the notifier, which refuses what is not signed")
    return Finding(
        False, f"does not reach the notifier ({_shown(status)}; 403 is right)", "check the address, proxy and firewall"
    )


async def _ops_channel(settings: Settings) -> Finding:
    if not settings.ops_webhook_url:
        return Finding(False, "not set: nobody hears within a minute that something is stuck", "set STEADYPATH_OPS_WEBHOOK_URL")
    status = await _status("HEAD", settings.ops_webhook_url)
    if status is None:
        return Finding(False, "no answer", "check STEADYPATH_OPS_WEBHOOK_URL")
    return Finding(True, "answers")


CHECKS: dict[str, Check] = {
    "database": _database,
    "broker": _broker,
    "provider": _provider,
    "webhook address": _webhook,
    "ops channel": _ops_channel,
}


async def _system(running: state.Running) -> bool:
    """A running system, asked from outside: each part's readiness, then whether the key is taken."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS)) as session:
        try:
            async with session.get(f"{running.origin}/readyz") as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            raise CommandError(f"{running.origin} does not answer: is `steadypath up` running there?") from None
        parts = answer.get("parts", {"system": answer.get("ready", False)})
        outcomes = [_print(name, Finding(up, "ready" if up else "not ready", "its log says why")) for name, up in parts.items()]
        headers = {"Authorization": f"Bearer {running.key}"}
        async with session.get(f"{running.origin}/adherence/alerts?state=open", headers=headers) as response:
            known = response.status == 200
    outcomes.append(_print("key", Finding(known, "taken" if known else "refused", "give another with --key")))
    return all(outcomes)


async def _status(method: str, url: str, login: dict[str, str] | None = None) -> int | None:
    try:
        headers = login or {}
        async with aiohttp.ClientSession(headers=headers) as session, session.request(method, url, allow_redirects=False) as got:
            return got.status
    except (aiohttp.ClientError, OSError):
        return None


def _shown(status: int | None) -> str:
    return "no answer" if status is None else f"HTTP {status}"


def _print(name: str, finding: Finding) -> bool:
    print(f"{'ok  ' if finding.passed else 'FIX '} {name}: {finding.said}")
    if not finding.passed and finding.fix:
        print(f"{name}: {finding.fix}", file=sys.stderr)
    return finding.passed
