"""The one origin: hands each request to the part that its path belongs to, as it came, and each answer back as it is.

Nothing is rewritten: Twilio's signature covers the exact public address and body. What is missing from both directions is what
belongs to one connection only (RFC 9110, 7.6.1).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from yarl import URL

_ONE_CONNECTION_ONLY = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split()
)
_WRITTEN_BY_AIOHTTP = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
#: First path segment -> the part that serves it.
ROUTES = {
    "scheduler": "scheduler",
    "notifier": "notifier",
    "adherence": "adherence",
    "board": "adherence",
    "phone": "phone",
    "2010-04-01": "phone",
}


def problem(status: int, title: str, detail: str, **more: object) -> Response:
    """problem+json (RFC 9457), as the services answer."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(json.dumps(body), status, media_type="application/problem+json")


class ReverseProxy:
    """An ASGI application over the parts' addresses (`base(name)`), with one pool of connections."""

    def __init__(self, base: Callable[[str], str], session: aiohttp.ClientSession) -> None:
        self._base = base
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        part = ROUTES.get(request.url.path.split("/", 2)[1])
        if part is None:
            response = problem(404, "Not found", "nothing has this path; / says where to go")
        else:
            response = await self._forward(request, part)
        await response(scope, receive, send)

    async def _forward(self, request: Request, part: str) -> Response:
        try:
            upstream = await self._session.request(
                request.method,
                self._target(request.scope, part),
                headers=_passed(request.scope["headers"]),
                data=_body(request),
                skip_auto_headers=_WRITTEN_BY_AIOHTTP,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=5),
            )
        except aiohttp.ClientConnectorError:
            return problem(503, "Service unavailable", f"{part} is not there right now; it is being started again")
        except (aiohttp.ClientError, ConnectionError):
            return problem(502, "Bad gateway", f"{part} ended the connection without an answer")
        except ClientDisconnect:
            return Response(status_code=499)
        answer = StreamingResponse(_pieces(upstream), upstream.status, background=BackgroundTask(upstream.release))
        answer.raw_headers = _kept(upstream.raw_headers)
        return answer

    def _target(self, scope: Scope, part: str) -> URL:
        path = scope["raw_path"].decode("ascii")
        query = scope["query_string"].decode("ascii")
        return URL(self._base(part) + path + (f"?{query}" if query else ""), encoded=True)


async def _pieces(upstream: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for piece in upstream.content.iter_any():
        yield piece


def _body(request: Request) -> AsyncIterator[bytes] | None:
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    return request.stream() if has_body else None


def _passed(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in _kept(headers)]


def _kept(headers: list[tuple[bytes, bytes]] | tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in _ONE_CONNECTION_ONLY]


async def readiness(base: Callable[[str], str], session: aiohttp.ClientSession, names: Mapping[str, str]) -> dict[str, bool]:
    """Each part's own word for whether it may be given work: `names` maps a part to the path that answers it."""

    async def one(name: str, path: str) -> bool:
        try:
            async with session.get(base(name) + path, timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    answers = await asyncio.gather(*(one(name, path) for name, path in names.items()))
    return dict(zip(names, answers, strict=True))


async def switched_off(base: Callable[[str], str], session: aiohttp.ClientSession) -> bool:
    """Whether some switch stops texts, as the notifier's health says; False where it does not answer: `/readyz` says that."""
    try:
        async with session.get(base("notifier") + "/readyz", timeout=aiohttp.ClientTimeout(total=2)) as response:
            switch = (await response.json()).get("checks", {}).get("switch", {})
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False
    return bool(switch.get("all_off") or switch.get("clinics_off"))
