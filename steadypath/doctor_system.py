"""The doctor on a running system, asked from outside with a key: is each part ready, do texts go, does anything wait for a
person, and do the ops channels work as the services have them."""

from __future__ import annotations

import asyncio

import aiohttp

from shared.events.registry import SERVICES
from steadypath import doctor_ops, switch
from steadypath.client import Client, ProblemError
from steadypath.errors import CommandError
from steadypath.finding import Finding, show
from steadypath.state import Running

PATIENCE_SECONDS = 8.0
_LOG = "its log says why: `docker compose logs {name}`, or logs/{name}.log in the folder of `up --data`"
_NOT_OPS = Finding(True, "not looked at: this key has not the role ops", note=True)


async def look(running: Running) -> bool:
    """Checks and prints; True where all is well. Raises CommandError where nobody answers."""
    outcomes = [show(name, _part(name, ready=ready)) for name, ready in (await _parts(running)).items()]
    return all([*outcomes, *await asyncio.to_thread(_with_key, Client(running))])


async def _parts(running: Running) -> dict[str, bool]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS)) as session:
        try:
            async with session.get(f"{running.origin}/readyz") as response:
                answer = await response.json()
                parts: dict[str, bool] = answer.get("parts", {"system": answer.get("ready", False)})
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AttributeError):
            raise CommandError(f"{running.origin} does not answer: is `steadypath up` running there?") from None
    return parts


def _part(name: str, *, ready: bool) -> Finding:
    return Finding(ready, "ready" if ready else "not ready", _LOG.format(name=name))


def _with_key(client: Client) -> list[bool]:
    try:
        switched = client.get(switch.PATH)
    except ProblemError as problem:
        if problem.status in (401, 403):
            return [show("key", Finding(False, "refused", "give another with --key"))]
        return [show("key", Finding(False, "the notifier did not answer", _LOG.format(name="notifier")))]
    off = switched["sending"] == "off"
    found = {"key": Finding(True, "taken"), "switch": Finding(True, switch.said(switched), note=off)}
    found |= {"parked": _parked(client)} | _channels(client)
    return [show(name, finding) for name, finding in found.items()]


def _parked(client: Client) -> Finding:
    try:
        count = sum(len(client.get(f"/{service}/parked")) for service in SERVICES)
    except ProblemError as problem:
        return _NOT_OPS if problem.status == 403 else Finding(False, "cannot be listed", _LOG.format(name="SERVICE"))
    if count:
        return Finding(True, f"{count} wait for a person's decision: `steadypath parked list`", note=True)
    return Finding(True, "nothing waits for a person")


def _channels(client: Client) -> dict[str, Finding]:
    """As the notifier has them: all services have the same."""
    try:
        return doctor_ops.judged_there(client.post("/notifier/ops/test", {"reason": "steadypath doctor"}))
    except ProblemError as problem:
        wrong = Finding(False, "cannot be tested", _LOG.format(name="notifier"))
        return {"ops channel": _NOT_OPS if problem.status == 403 else wrong}
