"""The one address in front of several replicas: the product's own reverse proxy, over whichever replicas are in rotation.

It also stands between the notifiers and the provider, where it can keep answers to itself: the request has been carried out and
whoever asked does not know it yet. That is what "in mid-send" means in these proofs, and it lasts as long as the test says.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import aiohttp
import uvicorn
from starlette.types import Message, Receive, Scope, Send

from shared.embedded.postgres import free_port
from steadypath.origin import ReverseProxy
from tests.support.waiting import wait_until

_PROVIDER = "/2010-04-01"


class Front:
    """Runs in a thread of the test's process. `base` names an address for a part, another one at each call where there are."""

    def __init__(self, base: Callable[[str], str]) -> None:
        self.port = free_port()
        self._base = base
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="front", daemon=True)
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answering: asyncio.Event | None = None
        #: Requests to the provider whose answers are being held: the port that each came from.
        self.held: list[int] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.started, within=20, what="the front listens")

    def stop(self) -> None:
        if self._server is not None:
            self.release()
            self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the front has not ended"

    def hold(self) -> None:
        """From now on the provider carries out what it is asked and its answers do not come back."""
        self._tell("clear")

    def release(self) -> None:
        """Answers come back, the held ones first."""
        self._tell("set")

    def _tell(self, what: str) -> None:
        assert self._loop is not None
        assert self._answering is not None
        self._loop.call_soon_threadsafe(getattr(self._answering, what))

    async def _serve(self) -> None:
        self._loop, self._answering = asyncio.get_running_loop(), asyncio.Event()
        self._answering.set()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
            proxy = ReverseProxy(self._base, session)

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                held = scope["type"] == "http" and scope["path"].startswith(_PROVIDER)
                await proxy(scope, receive, self._holding(scope["client"][1], send) if held else send)

            config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_config=None, access_log=False, lifespan="off",
                                    timeout_graceful_shutdown=2)  # fmt: skip
            self._server = _Server(config)
            await self._server.serve()

    def _holding(self, port: int, send: Send) -> Send:
        async def later(message: Message) -> None:
            assert self._answering is not None
            if message["type"] == "http.response.start" and not self._answering.is_set():
                self.held.append(port)
                try:
                    await self._answering.wait()
                finally:
                    self.held.remove(port)
            await send(message)

        return later


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Signals are pytest's."""

    def capture_signals(self) -> Any:
        from contextlib import nullcontext  # noqa: PLC0415 - one use

        return nullcontext()
