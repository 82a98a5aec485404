"""A TCP proxy between a sender and the provider: tells when a request arrives, and can keep the answer to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_PIECE = 65536


async def _nothing(_request: bytes) -> None:
    """What happens to a request by default: it passes."""


@dataclass
class Proxy:
    """`on_request` runs when a request has arrived and before it is passed on. `holding`: answers do not come back, though the
    provider has given them (`held` counts them)."""

    upstream_port: int
    on_request: Callable[[bytes], Awaitable[None]] = _nothing
    holding: bool = False
    requests: int = 0
    held: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Waits until the counts make it true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._requests(reader, up_writer))
                both.create_task(self._answers(up_reader, writer))
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            up_writer.close()

    async def _requests(self, reader: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            if piece.startswith((b"POST", b"GET")):
                self.requests += 1
                await self.on_request(piece)
                self._changed.set()
            up.write(piece)
            await up.drain()
        raise ConnectionResetError

    async def _answers(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await up.read(_PIECE):
            if self.holding:
                self.held += 1
                self._changed.set()
                continue
            writer.write(piece)
            await writer.drain()
        if not self.holding:
            raise ConnectionResetError
        await asyncio.Event().wait()
