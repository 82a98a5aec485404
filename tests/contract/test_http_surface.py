"""The HTTP surface of the three real services: every route needs a key, errors are problems, every metric is explained."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from shared.events.registry import SERVICES
from shared.health import Health
from shared.http import desk, keys, ops
from shared.http.app import create_app
from shared.http.plain import is_plain
from shared.loops import Loops
from shared.messaging.counts import Counts
from shared.runtime import Runtime
from shared.service import ServiceSpec
from shared.settings import Settings
from shared.worker import handling_of

ROOT = Path(__file__).resolve().parents[2]
ENV = {
    "STEADYPATH_DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/none",
    "STEADYPATH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "STEADYPATH_DATA_KEY": base64.b64encode(b"d" * 32).decode(),
    "STEADYPATH_TWILIO_ACCOUNT_SID": "AC" + "a" * 32,
    "STEADYPATH_TWILIO_AUTH_TOKEN": "token",
    "STEADYPATH_PUBLIC_BASE_URL": "https://clinic.example",
}
#: The provider signs these instead (DESIGN.md rule 11).
SIGNED = re.compile(r"^/notifier/twilio/")


async def document_of(service: str) -> dict[str, Any]:
    """The service's OpenAPI document, from the application that runs; no database is needed to ask for it."""
    spec: ServiceSpec = import_module(f"services.{service}.app").SPEC
    runtime = Runtime(Settings.from_env(service, "web", ENV))
    health = Health(runtime, Loops((), runtime.clock, runtime.metrics, simulated=False), None)
    health.starting = None
    routers = [
        keys.router(runtime),
        ops.router(runtime),
        desk.router(runtime, handling_of(runtime, spec.handlers, Counts())),
        spec.router(runtime),
    ]
    app = create_app(runtime, health, routers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as http:
        answer = await http.get(f"/{service}/openapi.json")
    await runtime.engine.dispose()
    document: dict[str, Any] = answer.json()
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


@pytest.mark.parametrize("service", SERVICES)
async def test_every_route_needs_a_key(service: str) -> None:
    found = list(operations(await document_of(service)))
    assert len(found) > 6
    assert [path for _, path, _ in found if not path.startswith(f"/{service}/")] == []
    assert [
        f"{method} {path}" for method, path, operation in found if "security" not in operation and not SIGNED.match(path)
    ] == []


@pytest.mark.parametrize("service", SERVICES)
async def test_every_refusal_is_documented_as_a_problem(service: str) -> None:
    for method, path, operation in operations(await document_of(service)):
        for status, response in operation["responses"].items():
            if status >= "400":
                assert "application/json" not in response.get("content", {}), f"{method} {path} {status}"


@pytest.mark.parametrize("service", SERVICES)
async def test_what_is_served_past_the_documented_guard_is_signed(service: str) -> None:
    """A plain endpoint checks by itself whatever there is to check: nothing above can see that it does."""
    spec: ServiceSpec = import_module(f"services.{service}.app").SPEC
    runtime = Runtime(Settings.from_env(service, "web", ENV))
    routes = [route for route in spec.router(runtime).routes if isinstance(route, APIRoute)]
    await runtime.engine.dispose()
    assert [one.path for one in routes if is_plain(one.endpoint) and not SIGNED.match(f"/{service}{one.path}")] == []


def test_hidden_routes_are_only_the_static_page_and_health() -> None:
    """A route outside the document escapes the tests above."""
    hidden = [
        path.relative_to(ROOT).as_posix()
        for folder in ("services", "shared")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"include_in_schema=False|add_route\(", path.read_text("utf-8"))
    ]
    # The scheduler's are second methods (POST beside PUT) of functions that stand in the document.
    assert set(hidden) <= {
        "shared/http/app.py",
        "services/adherence/board/__init__.py",
        "services/scheduler/http/plan.py",
    }
