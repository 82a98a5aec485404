"""One event, one handler: the table of what adherence does on hearing each event."""

from __future__ import annotations

from services.adherence.handlers import due, messages, plans
from services.adherence.handlers.together import alone, expects, hears
from shared.messaging.unit import Handlers

HANDLERS: Handlers = {
    **{event: alone(handler) for event, handler in {**plans.HANDLERS, **due.HANDLERS, **messages.HANDLERS}.items()},
    **{event: expects(occurrence_of) for event, occurrence_of in due.EXPECTED.items()},
    **{event: hears(fact_of) for event, fact_of in messages.HEARD.items()},
}
