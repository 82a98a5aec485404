"""One event, one handler: the table of what adherence does on hearing each event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from services.adherence.commands.voice import saw
from services.adherence.handlers import due, messages, plans
from shared.events.base import Event
from shared.messaging.unit import Handler, Handlers, Unit


def _noted(handler: Handler[Any]) -> Callable[[Unit, Any], Awaitable[None]]:
    """Every event goes onto the patient's timeline before it has its effect, so that causes stand before effects."""

    async def noted(unit: Unit, event: Event) -> None:
        saw(unit, event)
        await handler(unit, event)

    return noted


HANDLERS: Handlers = {
    event: _noted(handler) for event, handler in {**plans.HANDLERS, **due.HANDLERS, **messages.HANDLERS}.items()
}
