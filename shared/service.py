"""What every service is made of and how one runs: `run(spec)` is all that `python -m services.<name>` calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import APIRouter
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import Clock
from shared.logs import Log
from shared.metrics import Metrics
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.crypto import FieldCipher
    from shared.events.base import Event
    from shared.messaging.unit import Unit


class Pass(Protocol):
    """A piece of background work that the runtime calls again and again: at the latest every second, at once when woken."""

    name: str

    async def run(self, now: datetime) -> int: ...

    async def next_due(self) -> datetime | None: ...

    def in_flight(self) -> int: ...


class Runtime:
    """The parts that a service's own code may use."""

    settings: Settings
    clock: Clock
    engine: AsyncEngine
    cipher: FieldCipher
    log: Log
    metrics: Metrics

    def unit(self) -> AbstractAsyncContextManager[Unit]:
        raise NotImplementedError

    def wake(self, name: str) -> None:
        raise NotImplementedError


def _no_passes(_runtime: Runtime) -> Sequence[Pass]:
    return ()


@dataclass(frozen=True)
class ServiceSpec:
    """A service, declared. Built in services/<name>/app.py and nowhere else."""

    name: str
    handlers: Mapping[type[Event], Callable[[Unit, Any], Awaitable[None]]]
    fires: Mapping[str, Callable[[Unit, Sequence[Any]], Awaitable[None]]]
    tables: MetaData
    router: Callable[[Runtime], APIRouter]
    passes: Callable[[Runtime], Sequence[Pass]] = _no_passes
    on_start: Callable[[Runtime], Awaitable[None]] | None = None


def run(spec: ServiceSpec) -> None:
    raise NotImplementedError
