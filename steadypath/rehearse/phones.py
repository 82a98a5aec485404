"""What went over the network in a rehearsal, as any client of the provider sees it (Twilio's list), and what the notifier says of
each text. Read over HTTP while services may be ended and started: whoever is away is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from steadypath.driver import PATIENCE_SECONDS
from steadypath.errors import CommandError
from steadypath.recipes import PHONE, Recipes

_ANSWERS_WITHIN = aiohttp.ClientTimeout(total=30)
_PAUSE = 0.1
_PAGE = 1000
_ENOUGH = 20


@dataclass(frozen=True)
class Carried:
    """A text that the provider has, in either direction. `at` is UTC, to the second as Twilio gives it."""

    sid: str
    at: datetime
    direction: str
    sender: str
    to: str
    body: str

    @property
    def outbound(self) -> bool:
        return self.direction.startswith("outbound")


class Phones:
    """The provider and the notifier of one rehearsal. Raises CommandError where one stays away."""

    def __init__(self, recipes: Recipes, session: aiohttp.ClientSession) -> None:
        self._recipes, self._session = recipes, session
        #: Requests that we made ourselves: they are not the clinic's.
        self.own_requests = 0

    async def texts(self) -> list[Carried]:
        """Everything, oldest first."""
        found = list[Carried]()
        path: str | None = f"{self._messages}?PageSize={_PAGE}"
        while path:
            page = await self._provider(path)
            found += [_carried(one) for one in page["messages"]]
            path = page["next_page_uri"]
        return found[::-1]

    async def newer(self, known: set[str]) -> list[Carried]:
        """Those that are not known yet, oldest first."""
        page = await self._provider(f"{self._messages}?PageSize={_ENOUGH}")
        found = [_carried(one) for one in page["messages"]]
        if found and found[-1].sid not in known and page["next_page_uri"]:
            found = (await self.texts())[::-1]
        return [one for one in reversed(found) if one.sid not in known]

    async def message_of(self, sid: str) -> dict[str, Any] | None:
        """What the notifier says of a text, None where it is not the notifier's."""
        found: dict[str, Any] | None = await self._get("notifier", f"/notifier/messages/by-sid/{sid}")
        return found

    async def messages_of(self, patient: str) -> list[dict[str, Any]]:
        """All texts about a patient, sent or not, oldest first."""
        found = list[dict[str, Any]]()
        before = ""
        while page := await self._get("notifier", f"/notifier/messages?patient={patient}&limit=2000{before}"):
            found = page + found
            before = f"&before={page[0]['id']}"
        return found

    async def requests(self) -> int:
        """How many requests the clinic made to the provider, reads included."""
        counted = await self._get(PHONE, "/phone/requests")
        return int(sum(counted.values())) - self.own_requests

    async def reply(self, sender: str, body: str) -> None:
        """A phone texts the clinic."""
        url = f"{self._recipes.base(PHONE)}/phone/replies"
        try:
            async with self._session.post(url, json={"from": sender, "body": body}, timeout=_ANSWERS_WITHIN) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError):  # it may have been taken: never sent again
            raise CommandError("whether a reply was sent is not known: the phone simulator did not answer") from None
        if status != 202:
            raise CommandError(f"a reply could not be sent: the phone simulator answered {status}")

    @property
    def _messages(self) -> str:
        return f"/2010-04-01/Accounts/{self._recipes.keys.twilio_account_sid}/Messages.json"

    async def _provider(self, path: str) -> dict[str, Any]:
        self.own_requests += 1
        keys = self._recipes.keys
        credentials = aiohttp.encode_basic_auth(keys.twilio_account_sid, keys.twilio_auth_token)
        found: dict[str, Any] = await self._get(PHONE, path, {"Authorization": credentials})
        return found

    async def _get(self, part: str, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON; None for 404."""
        until = time.monotonic() + PATIENCE_SECONDS
        headers = headers or {"Authorization": f"Bearer {self._recipes.keys.key}"}
        while True:
            try:
                url = self._recipes.base(part) + path
                async with self._session.get(url, headers=headers, timeout=_ANSWERS_WITHIN) as response:
                    if response.status in (200, 404):
                        return await response.json() if response.status == 200 else None
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass  # being started again; tried until the patience ends
            if time.monotonic() > until:
                raise CommandError(f"{part} does not answer any more")
            await asyncio.sleep(_PAUSE)


def _carried(one: Mapping[str, Any]) -> Carried:
    return Carried(
        one["sid"], parsedate_to_datetime(one["date_created"]), one["direction"], one["from"] or "", one["to"], one["body"]
    )
