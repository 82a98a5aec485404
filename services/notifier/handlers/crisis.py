"""crisis-flagged, and the hearing half's due work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.notifier import crisis_watch, strangers
from services.notifier.storage import wishes
from shared.events.adherence import CrisisFlaggedV1
from shared.messaging.unit import Fire, Handlers, Unit
from shared.messaging.work import WorkItem


async def crisis_flagged(unit: Unit, event: CrisisFlaggedV1) -> None:
    """Adherence has taken the risk wording over: the watch ends."""
    await crisis_watch.end(unit, event.reply_id)


async def texts_pause_over(unit: Unit, items: Sequence[WorkItem]) -> None:
    """A pause with an end has come to it. A crisis pause that came since stays: it has none."""
    for item in items:
        await wishes.resume(unit, UUID(item.ref))


HANDLERS: Handlers = {CrisisFlaggedV1: crisis_flagged}
#: Due work of hearing.
FIRES: Mapping[str, Fire] = {
    crisis_watch.WATCH: crisis_watch.fire,
    wishes.PAUSE_OVER: texts_pause_over,
    strangers.WATCH: strangers.fire,
}
