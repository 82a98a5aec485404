"""`GET /clock` and `POST /clock/advance` (DESIGN.md 6): loopback only, no key. They are the launcher's own, of a rehearsal."""

from __future__ import annotations

from datetime import UTC, datetime
from json import JSONDecodeError
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.clock import machine_now
from shared.defaults import duration
from steadypath.driver import Advanced, Driver, NotQuietError, PastError
from steadypath.origin import problem

_ACCEPTED = {
    "to": "an ISO 8601 instant with offset, such as 2026-12-07T10:00:00-05:00",
    "by": "an ISO 8601 duration of weeks, days, hours, minutes, seconds, such as PT1H or P1D",
    "body": 'one of {"to": ISO 8601 with offset}, {"by": ISO 8601 duration such as "PT1H"} and {"next": true}',
}


class ClockPages:
    """The two pages over a driver; without one (real time) the clock can be read and not moved."""

    def __init__(self, driver: Driver | None) -> None:
        self._driver = driver

    async def show(self, _request: Request) -> Response:
        """Where clinical time stands, and whether it stands still."""
        now = machine_now() if self._driver is None else self._driver.now
        return JSONResponse({"now": now.isoformat(), "fast_forward": self._driver is not None})

    async def advance(self, request: Request) -> Response:
        """Answers only when everything due until then has been carried through."""
        if self._driver is None:
            return problem(
                409, "Real time", "this stack runs on real time; `up --fast-forward` makes one whose time can be moved"
            )
        try:
            asked = await request.json()
        except (JSONDecodeError, UnicodeDecodeError):
            return _unusable("the body is not JSON", "body", _ACCEPTED["body"])
        try:
            return JSONResponse((await self._carry_out(self._driver, asked)).as_json())
        except (ValueError, OverflowError):
            element = _element(asked)
            return _unusable("this says no time to move to", element, _ACCEPTED[element])
        except PastError:
            accepted = f"an instant at or after {self._driver.now.isoformat()}"
            return _unusable("that time is past, and clinical time never goes back", "to", accepted)
        except NotQuietError as error:
            detail = f"no progress for a minute; not quiet: {'; '.join(error.why)}"
            return problem(503, "Not quiet", detail, not_quiet=list(error.why), now=self._driver.now.isoformat())

    async def _carry_out(self, driver: Driver, asked: Any) -> Advanced:
        match asked:
            case {"to": str(instant), **rest} if not rest:
                return await driver.advance_to(_aware(instant))
            case {"by": str(amount), **rest} if not rest:
                return await driver.advance_by(duration(amount))
            case {"next": True, **rest} if not rest:
                return await driver.advance_to_next()
        raise ValueError


def _aware(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without a zone is not an instant")
    return instant.astimezone(UTC)


def _element(asked: Any) -> str:
    """What of it was not understood: the one field that it has, else the whole."""
    match asked:
        case {"to": _, **rest} if not rest:
            return "to"
        case {"by": _, **rest} if not rest:
            return "by"
    return "body"


def _unusable(detail: str, element: str, accepted: str) -> Response:
    return problem(422, "Not accepted", detail, element=element, accepted=accepted)
