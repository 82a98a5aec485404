"""A token that the provider no longer takes is known without a text, and so is one that it takes again (reference, P28)."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from services.notifier import channel
from services.notifier.account import AccountPass
from services.notifier.twilio_client import Provider
from tests.integration.notifier.bench import CLINIC, Bench
from tests.integration.notifier.conftest import Place


async def readiness(place: Place) -> tuple[int, dict[str, object]]:
    async with httpx.AsyncClient(timeout=20) as http:
        answer = await http.get(f"http://127.0.0.1:{place.web_port}/readyz")
    return answer.status_code, answer.json()["checks"]["channel"]


async def look(bench: Bench, **changed: str) -> int:
    """One look with these settings."""
    provider = Provider(replace(bench.runtime.settings, **changed))  # type: ignore[arg-type]
    try:
        return await AccountPass(bench.runtime, provider).look()
    finally:
        await provider.close()


async def test_a_refused_token_makes_the_notifier_unready_and_a_mended_one_ready(bench: Bench, simulator: Place) -> None:
    assert await look(bench) == 0
    assert await readiness(simulator) == (200, {"ok": True})
    assert await look(bench, twilio_auth_token="f" * 32) == 1
    assert await look(bench, twilio_auth_token="f" * 32) == 0
    assert await readiness(simulator) == (503, {"ok": False, "down": "account-refused", "code": 20003})
    metrics = bench.runtime.metrics.exposition().decode()
    assert 'steadypath_channel_down{reason="account-refused"} 1.0' in metrics
    assert await look(bench) == 1
    assert await readiness(simulator) == (200, {"ok": True})
    assert 'steadypath_channel_down{reason="account-refused"} 0.0' in bench.runtime.metrics.exposition().decode()


async def test_a_provider_that_does_not_answer_changes_nothing(bench: Bench, simulator: Place) -> None:
    assert await look(bench, twilio_api_base="http://127.0.0.1:1") == 0
    assert await readiness(simulator) == (200, {"ok": True})


@pytest.mark.parametrize(("reason", "code"), [("unreachable", None), ("account-refused", 30002)])
async def test_what_a_look_does_not_disprove_stays_open_and_only_a_refusal_is_unready(
    bench: Bench, simulator: Place, reason: str, code: int | None
) -> None:
    async with bench.runtime.unit() as unit:
        await channel.failed(unit, CLINIC, reason, code)
    assert await look(bench) == 0
    status, check = await readiness(simulator)
    assert (status, check["down"]) == (503 if reason == "account-refused" else 200, reason)
