"""The origin's application: where to go, health of the whole, the clock, and the proxy for all the rest."""

from __future__ import annotations

import html
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.events.registry import SERVICES
from steadypath.clock_http import ClockPages
from steadypath.driver import Driver
from steadypath.origin import ReverseProxy, problem, readiness, switched_off

_READY_PATHS = {**dict.fromkeys(SERVICES, "/readyz"), "phone": "/phone/threads"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_KEYLESS = ("phone", "clock")
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Steadypath</title>
<style>body{{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:10vh auto;padding:0 1rem;color:#1c2733}}
h1{{font-weight:650;letter-spacing:-.01em}}a{{color:#0b5c8a}}dt{{font-weight:600;margin-top:.8rem}}dd{{margin:0;color:#4a5867}}
@media(prefers-color-scheme:dark){{body{{background:#12181f;color:#e6ebf0}}a{{color:#7cc4f0}}dd{{color:#a3b1bf}}}}</style>
<h1>Steadypath</h1>{switched}<p>Keeps a psychiatric medication plan on track between visits.</p>
<dl><dt><a href="/phone">The phones</a></dt><dd>what each patient and each clinician gets, and room to answer</dd>
<dt><a href="/board">The care board</a></dt><dd>open alerts and follow-ups nobody has recorded</dd>
<dt>APIs</dt><dd>{docs}</dd><dt><a href="/readyz">Health</a></dt><dd>{time}</dd></dl></html>
"""


_SWITCHED_OFF = (
    '<p role="alert"><strong>Texts are switched off</strong> (<code>steadypath switch</code> says by whose switch).</p>'
)


class LocalOnly:
    """Phones and clock have no key, so they answer this machine only: no page of another site may use a browser to reach them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"].split("/", 2)[1] in _KEYLESS and not _from_here(Request(scope)):
            app = problem(403, "This machine only", "phones and clock are for this machine's own pages")
        await app(scope, receive, send)


def _from_here(request: Request) -> bool:
    origin = request.headers.get("origin")
    return request.url.hostname in _LOOPBACK and (origin is None or urlsplit(origin).hostname in _LOOPBACK)


def application(
    base: Callable[[str], str], session: aiohttp.ClientSession, driver: Driver | None, ground: Callable[[], dict[str, bool]]
) -> ASGIApp:
    """`ground`: whether PostgreSQL and the broker are up, as their supervisor knows."""
    clock = ClockPages(driver)

    async def where_to_go(_request: Request) -> Response:
        docs = ", ".join(f'<a href="/{name}/openapi.json">{html.escape(name)}</a>' for name in SERVICES)
        time = "time moves by the buttons on the phone page" if driver else "this stack runs on real time"
        switched = _SWITCHED_OFF if await switched_off(base, session) else ""
        return HTMLResponse(_PAGE.format(docs=docs, time=time, switched=switched))

    async def readyz(_request: Request) -> Response:
        parts = ground() | await readiness(base, session, _READY_PATHS)
        return JSONResponse({"ready": all(parts.values()), "parts": parts}, 200 if all(parts.values()) else 503)

    async def livez(_request: Request) -> Response:
        return JSONResponse({"alive": True})

    routes = [
        Route("/", where_to_go),
        Route("/readyz", readyz),
        Route("/livez", livez),
        Route("/clock", clock.show),
        Route("/clock/advance", clock.advance, methods=["POST"]),
        Mount("/", ReverseProxy(base, session)),
    ]
    return LocalOnly(Starlette(routes=routes))
