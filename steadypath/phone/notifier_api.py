"""Asks the notifier's public API, with the launcher's key, who a number belongs to and which event caused a text.

The simulator works without it: while the notifier is not there, numbers are "unknown" and causes are not to be had.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import aiohttp

from shared.logs import log
from steadypath.phone.settings import PhoneSettings

#: Machine seconds: between two looks at the contacts, and for one request.
REFRESH = 3.0
TIMEOUT = aiohttp.ClientTimeout(total=4)
_ROLES = frozenset({"patient", "care-team"})


@dataclass(frozen=True, slots=True)
class Contact:
    """Whose phone it is. `zone` is an IANA name, or None where the notifier knows none."""

    number: str
    role: str
    label: str
    zone: str | None


class NotifierApi:
    """Keeps the last contacts that it got; `version` grows when they change."""

    def __init__(self, settings: PhoneSettings, session: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._session = session
        self.contacts: dict[str, Contact] = {}
        self.reachable = False
        #: The clinic's texts are stopped by the switch.
        self.switched_off = False
        self.version = 0

    async def watch(self) -> None:
        """Refreshes the contacts until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH)

    async def refresh(self) -> None:
        """One look. What cannot be reached leaves the contacts as they were."""
        (status, body), (switch_status, switch) = await asyncio.gather(
            self._get("/notifier/contacts"), self._get("/notifier/switch")
        )
        found = _contacts(body) if status == 200 else None
        off = switch_status == 200 and isinstance(switch, dict) and switch.get("sending") == "off"
        if (found is not None, off) != (self.reachable, self.switched_off) or (found is not None and found != self.contacts):
            self.version += 1
        self.switched_off = off
        self.reachable = found is not None
        self.contacts = self.contacts if found is None else found

    async def sender(self) -> str | None:
        """The number that the clinic sends from; None where it cannot be had."""
        status, body = await self._get("/notifier/clinic")
        found = body.get("sender") if status == 200 and isinstance(body, dict) else None
        return found if isinstance(found, str) else None

    async def cause(self, sid: str) -> tuple[int, Any]:
        """HTTP status and body of the notifier's answer; 503 where it cannot be reached."""
        return await self._get(f"/notifier/messages/by-sid/{sid}")

    async def _get(self, path: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._settings.key}"}
        try:
            async with self._session.get(self._settings.origin + path, headers=headers, timeout=TIMEOUT) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.debug("notifier api not reachable", error=type(error).__name__)
            return 503, None


def _contacts(body: Any) -> dict[str, Contact] | None:
    """By number. None where the answer is not the list that was agreed."""
    if not isinstance(body, list):
        return None
    found = {}
    for row in body:
        if not isinstance(row, dict) or not isinstance(row.get("number"), str):
            return None
        role = row.get("role") if row.get("role") in _ROLES else "unknown"
        found[row["number"]] = Contact(row["number"], str(role), str(row.get("label") or row["number"]), row.get("zone"))
    return found
