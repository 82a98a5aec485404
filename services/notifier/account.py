"""The pass "account": asks the provider twice a minute whether it still takes our credentials, so that a revoked token is known
at night, too, and before a text fails by it; and that an account that is mended is known to be so without one.

Machine time: it is the connection that is looked at. Nothing is sent, and what the list shows is not read.
"""

from __future__ import annotations

from datetime import datetime
from time import monotonic

import aiohttp
from sqlalchemy import select

from services.notifier import channel
from services.notifier.storage.tables import channel_incident
from services.notifier.twilio_client import Provider
from shared.identity import clinic_id_of
from shared.messaging.unit import Unit
from shared.runtime import Runtime

_EVERY = 30.0
#: What an answer to a mere look disproves: wrong credentials. A suspended account may still be looked at.
_CREDENTIALS = 20003


class AccountPass:
    """One per process; several asking change nothing."""

    name = "account"

    def __init__(self, runtime: Runtime, provider: Provider) -> None:
        self._runtime = runtime
        self._provider = provider
        self._looked: float | None = None

    def in_flight(self) -> int:
        return 0

    async def next_due(self) -> datetime | None:
        """Nothing of it has a clinical time."""
        return None

    async def run(self, now: datetime) -> int:
        if self._looked is not None and monotonic() - self._looked < _EVERY:
            return 0
        self._looked = monotonic()
        return await self.look()

    async def look(self) -> int:
        """Asks once; 1 where an incident was opened or closed by it. A provider that does not answer is the sender's to judge."""
        account = self._runtime.settings.twilio_account_sid
        try:
            status, _ = await self._provider.get(
                f"https://api.twilio.com/2010-04-01/Accounts/{account}/Messages.json", {"PageSize": 1}
            )
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0
        async with self._runtime.unit() as unit:
            return await self._learn(unit, status)

    async def _learn(self, unit: Unit, status: int) -> int:
        of = channel_incident.c
        found = await unit.conn.execute(select(of.reason, of.error_code).where(of.cleared_at.is_(None)))
        incident = found.one_or_none()
        if incident is None and status == 401:
            await channel.failed(unit, clinic_id_of(self._runtime.settings.clinic), "account-refused", _CREDENTIALS)
            return 1
        refused = incident is not None and incident.reason == "account-refused" and incident.error_code in (None, _CREDENTIALS)
        if refused and 200 <= status < 300:
            await channel.works(unit)
            unit.after_commit("sender")
            return 1
        return 0
