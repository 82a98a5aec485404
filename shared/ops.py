"""The ops channel: says what a person must repair, by a way that does not depend on Twilio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.messaging.unit import Unit


async def ops_say(unit: Unit, kind: str, details: Mapping[str, str | int] | None = None, *, dedup: str | None = None) -> None:
    """Writes a notice in this transaction; the "ops" pass delivers it. `details` hold slugs, counts and our own ids only."""
    raise NotImplementedError
