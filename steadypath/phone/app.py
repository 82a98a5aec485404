"""The composition root of the simulator: nothing else wires its parts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.accepted import faults_of
from shared.clock import Clock
from shared.errors import DomainError
from shared.logs import log
from steadypath.phone.ledger import Ledger
from steadypath.phone.network import Network
from steadypath.phone.notifier_api import NotifierApi
from steadypath.phone.phone_api import PhoneApi
from steadypath.phone.pump import Pump
from steadypath.phone.rest import Rest
from steadypath.phone.settings import PhoneSettings
from steadypath.phone.webhooks import Webhooks, tells_when_it_left
from steadypath.phone.wire import API_VERSION, Refusal, refusal


class DroppableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the socket in `request.state.transport`: the faults must be able to close it unanswered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


@asynccontextmanager
async def simulator(settings: PhoneSettings, clock: Clock) -> AsyncIterator[FastAPI]:
    """The whole simulator at work. Serve the app by uvicorn with `DroppableProtocol`, one worker, while inside."""
    network = Network(Ledger(settings.ledger), clock, settings.service_number)
    network.load()
    # Kept for less than the services' servers keep theirs (5 s), so that no webhook goes out on one that is about to be closed.
    connector = aiohttp.TCPConnector(keepalive_timeout=3)
    async with aiohttp.ClientSession(connector=connector, trace_configs=[tells_when_it_left()]) as session:
        notifier = NotifierApi(settings, session)
        pump = Pump(network, Webhooks(settings, session), clock)
        tasks = [asyncio.create_task(pump.run()), asyncio.create_task(notifier.watch())]
        for task in tasks:
            task.add_done_callback(_must_live)
        try:
            yield _app(Rest(settings, network, pump), PhoneApi(network, pump, clock, notifier))
        finally:
            await _stop(tasks)
            await pump.close()
            network.ledger.close()


def _app(rest: Rest, phone: PhoneApi) -> FastAPI:
    app = FastAPI(
        title="Steadypath phone simulator", version="1", openapi_url="/phone/openapi.json", docs_url=None, redoc_url=None
    )
    app.router.routes.extend(rest.routes())
    app.include_router(phone.router())
    app.add_exception_handler(Refusal, _twilio_error)
    app.add_exception_handler(Exception, _crashed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(DomainError, _not_possible)
    app.add_api_route("/livez", _well, include_in_schema=False)
    app.add_api_route("/readyz", _well, include_in_schema=False)
    return app


async def _well() -> dict[str, str]:
    """The ledger was read before the port was opened: who answers is ready."""
    return {"status": "ok"}


def _must_live(task: asyncio.Task[None]) -> None:
    """A simulator that no longer calls back must not look well: it ends, and whoever started it starts it again."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.failure("phone background task died", error)
        signal.raise_signal(signal.SIGTERM)


async def _stop(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)  # what one died of was said by _must_live


def _twilio_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    headers = {"Retry-After": "1"} if error.status == 429 else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Twilio API"'
    return JSONResponse(error.body(), error.status, headers=headers)


def _crashed(request: Request, error: Exception) -> Response:
    log.failure("phone request failed", error)
    return _twilio_error(request, refusal(20500))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith(f"/{API_VERSION}"):
        return _twilio_error(request, refusal(20004 if error.status_code == 405 else 20404, request.url.path))
    return _problem(error.status_code, str(error.detail), None, None)


def _not_valid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = faults_of(error)[0]
    return _problem(422, f"{first.element} is not accepted", first.element, first.accepted)


def _not_possible(_: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    return _problem(error.status, error.reason, error.element, error.accepted)


def _problem(status: int, detail: str, element: str | None, accepted: str | None) -> Response:
    body = {
        "type": "about:blank",
        "title": "Not done",
        "status": status,
        "detail": detail,
        "element": element,
        "accepted": accepted,
    }
    return JSONResponse(body, status, media_type="application/problem+json")
