"""The origin hands on what it gets as it got it: a webhook's signature covers address and body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import uvicorn
from aiohttp import web
from yarl import URL

from shared.embedded.postgres import free_port
from steadypath.edge import application

Act = Callable[[aiohttp.ClientSession, str], Awaitable[None]]


async def echo(request: web.Request) -> web.StreamResponse:
    """What arrived, and an answer with two cookies, a body that is not text, and no length."""
    body = await request.read()
    response = web.StreamResponse(status=207, headers={"X-Target": request.raw_path, "X-Host": request.host})
    response.headers["X-Names"] = ",".join(sorted(name.lower() for name in request.headers))
    response.headers.add("Set-Cookie", "a=1")
    response.headers.add("Set-Cookie", "b=2")
    await response.prepare(request)
    await response.write(body[::-1])
    await response.write_eof()
    return response


async def dropped(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def through_the_origin(act: Act) -> None:
    async def whole() -> None:
        app = web.Application()
        app.router.add_route("*", "/notifier/dropped", dropped)
        app.router.add_route("*", "/notifier/{rest:.*}", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ports = {"notifier": runner.addresses[0][1], "scheduler": free_port()}
        async with aiohttp.ClientSession(auto_decompress=False) as inner, aiohttp.ClientSession() as outer:
            front = application(lambda name: f"http://127.0.0.1:{ports[name]}", inner, None, dict)
            port = free_port()
            server = uvicorn.Server(uvicorn.Config(front, port=port, log_level="critical", lifespan="off"))
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            try:
                await act(outer, f"http://127.0.0.1:{port}")
            finally:
                server.should_exit = True
                await serving
                await runner.cleanup()

    asyncio.run(whole())


def test_path_query_body_and_headers_arrive_as_they_were_sent() -> None:
    async def act(session: aiohttp.ClientSession, origin: str) -> None:
        url = URL(f"{origin}/notifier/twilio/status/%7Bid%7D?a=%2B1&b=%20x&a=2", encoded=True)
        body = bytes(range(256)) * 300
        headers = {"X-Twilio-Signature": "s", "Content-Type": "application/x-www-form-urlencoded"}
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == 207
            assert response.headers["X-Target"] == "/notifier/twilio/status/%7Bid%7D?a=%2B1&b=%20x&a=2"
            assert response.headers["X-Host"] == origin.removeprefix("http://")
            assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
            assert await response.read() == body[::-1]
            names = set(response.headers["X-Names"].split(","))
            assert names == {
                "x-twilio-signature",
                "content-type",
                "content-length",
                "host",
                "user-agent",
                "accept",
                "accept-encoding",
            }

    through_the_origin(act)


def test_nothing_is_added_where_nothing_was_sent() -> None:
    async def act(session: aiohttp.ClientSession, origin: str) -> None:
        async with session.get(f"{origin}/notifier/x", skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding")) as response:
            assert set(response.headers["X-Names"].split(",")) == {"host"}

    through_the_origin(act)


def test_a_part_that_is_down_is_503_and_one_that_drops_the_connection_502() -> None:
    async def act(session: aiohttp.ClientSession, origin: str) -> None:
        for path, status in (("/scheduler/x", 503), ("/notifier/dropped", 502), ("/nowhere", 404)):
            async with session.post(origin + path) as response:
                assert response.status == status
                assert response.content_type == "application/problem+json"

    through_the_origin(act)


def test_real_time_cannot_be_moved() -> None:
    async def act(session: aiohttp.ClientSession, origin: str) -> None:
        async with session.post(f"{origin}/clock/advance", json={"next": True}) as response:
            assert response.status == 409

    through_the_origin(act)
