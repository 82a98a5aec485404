"""The three services' bulk endpoints as enrolment uses them, over HTTP or, for --check, by the same rules in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote
from uuid import uuid4

from steadypath.client import Client, ProblemError
from steadypath.enrol.intake import Body
from steadypath.errors import CommandError

Answer = dict[str, Any]
#: Machine seconds between tries while a service is away: a launcher or an orchestrator has it back well within these.
_BACK_OFF = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0)
_AWAY = (502, 503, 504)


class Desk(Protocol):
    """Answers come in the order of the items. With `dry_run` nothing is written."""

    def people(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]: ...
    def contacts(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]: ...
    def care_teams(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]: ...
    def plans(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]: ...
    def knows_person(self, person: str) -> bool: ...


class HttpDesk:
    """A running system. Raises CommandError where it does not answer for a minute, or refuses the key."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, bool] = {}

    def people(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return self._put("/notifier/bulk/contacts", {"people": list(items)}, "people", dry_run)

    def contacts(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return self._put("/notifier/bulk/contacts", {"patients": list(items)}, "patients", dry_run)

    def care_teams(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return self._put("/adherence/bulk/care-teams", {"items": list(items)}, "items", dry_run)

    def plans(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return self._put("/scheduler/bulk/plans", {"items": list(items)}, "items", dry_run)

    def knows_person(self, person: str) -> bool:
        """Whether the clinic has this member of the care team on file."""
        if person not in self._known:
            try:
                self._client.get(f"/notifier/people/{quote(person, safe='')}")
                self._known[person] = True
            except ProblemError as error:
                if error.status != 404:
                    raise
                self._known[person] = False
        return self._known[person]

    def _put(self, path: str, body: Body, field: str, dry_run: bool) -> list[Answer]:
        """Done once, whatever becomes of the connection: a try that is repeated has the key of the first."""
        if not next(iter(body.values())):
            return []
        if dry_run:
            return _items(self._tried(f"{path}?dry_run=true", body, None), field)
        answer = self._tried(path, body, str(uuid4()))
        if field not in answer:  # done, but the process that did it died before it could say: all is there, so ask again
            answer = self._tried(path, body, str(uuid4()))
        return _items(answer, field)

    def _tried(self, path: str, body: Body, key: str | None) -> Answer:
        for pause in (*_BACK_OFF, None):
            try:
                found: Answer = self._client.call("POST", path, body, key=key)
            except ProblemError as error:
                if error.status not in _AWAY or pause is None:
                    raise
                time.sleep(pause)
            except CommandError:
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                return found
        raise AssertionError("the last try answers or raises")


def _items(answer: Answer, field: str) -> list[Answer]:
    found: list[Answer] = answer[field]
    return found
