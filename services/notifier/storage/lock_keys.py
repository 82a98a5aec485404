"""Whom a transaction locks that touches an attempt: who gets its text and whom the text is about.

No statement ever changes that. What this process has begun, or read once, it need not read again when the callbacks come.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.notifier.storage.tables import attempt, message
from shared.messaging.unit import Unit

#: By attempt; ids alone, and so many at most.
_known: dict[UUID, tuple[UUID, ...]] = {}
_AT_MOST = 5_000
_READ = (
    select(attempt.c.id, message.c.contact_id, message.c.patient_id)
    .join(message, message.c.id == attempt.c.message_id)
    .where(attempt.c.id == any_(bindparam("wanted", type_=ARRAY(attempt.c.id.type))))
)


def remember(attempt_id: UUID, keys: tuple[UUID, ...]) -> None:
    if len(_known) >= _AT_MOST:
        _known.clear()
    _known[attempt_id] = keys


async def of(unit: Unit, *attempt_ids: UUID) -> frozenset[UUID]:
    """Whom to lock before these attempts are touched; nobody for one that there is not."""
    found = {each: _known[each] for each in attempt_ids if each in _known}
    unknown = [each for each in attempt_ids if each not in found]
    for row in await unit.conn.execute(_READ, {"wanted": unknown}) if unknown else ():
        found[row.id] = tuple(key for key in (row.contact_id, row.patient_id) if key is not None)
        remember(row.id, found[row.id])
    return frozenset(key for keys in found.values() for key in keys)
