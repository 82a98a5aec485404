"""The simulator's own surface under /phone: the page, threads, replies, faults, the ledger for tests, the driver's step."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from shared.clock import Clock, ClockPage
from shared.defaults import duration
from shared.errors import DomainError
from steadypath.phone import view
from steadypath.phone.faults import DEFAULT_CODE, DEFAULT_DELAY, Fault, FaultName
from steadypath.phone.network import Network
from steadypath.phone.notifier_api import NotifierApi
from steadypath.phone.pump import Pump
from steadypath.phone.wire import MAX_BODY

PAGE = Path(__file__).parent / "page"
_FILES = {"phone.css": "text/css", "phones.css": "text/css", "page.js": "text/javascript", "phones.js": "text/javascript",
          "faults.js": "text/javascript", "api.js": "text/javascript"}  # fmt: skip
#: Machine seconds for which a list of threads waits for the names of its phones.
NAMES_WITHIN = 1.0
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def _number(text: str) -> str:
    if not _E164.fullmatch(text):
        accepted = "a phone number in E.164 such as +12025550111"
        raise PydanticCustomError("number", "a phone number is needed", {"expected": accepted})
    return text


def _delay(value: object) -> object:
    try:
        return duration(value) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        accepted = "an ISO 8601 duration such as PT5M"
        raise PydanticCustomError("duration", "a duration is needed", {"expected": accepted}) from None


Number = Annotated[str, AfterValidator(_number)]


class ReplyIn(BaseModel):
    """A text from a phone. `to`: default the sender that last texted this number, else the clinic's own."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    sender: Number = Field(alias="from")
    body: str = Field(min_length=1, max_length=MAX_BODY)
    to: Number | None = None


class FaultIn(BaseModel):
    """One fault. `times` null is without limit; `to` null is any number; `delay` is clinical."""

    model_config = ConfigDict(extra="forbid")
    fault: FaultName
    times: Annotated[int, Field(ge=1)] | None = 1
    to: Number | None = None
    code: Annotated[int, Field(ge=10000, le=99999)] | None = None
    delay: Annotated[timedelta, BeforeValidator(_delay)] | None = Field(default=None, description="ISO 8601, such as PT5M")


class FaultsIn(BaseModel):
    """The whole list; it replaces what was there."""

    model_config = ConfigDict(extra="forbid")
    faults: list[FaultIn]


class WebhookOut(BaseModel):
    """What became of the inbound webhook's first attempt."""

    http: int | None
    error: str | None
    retry_at: str | None


class ReplyOut(BaseModel):
    """The text's sid, and what the clinic answered."""

    sid: str
    opt_out_type: Literal["STOP", "START", "HELP"] | None
    webhook: WebhookOut


@dataclass(frozen=True, slots=True)
class PhoneApi:
    """The handlers. Loopback only, no key."""

    network: Network
    pump: Pump
    clock: Clock
    notifier: NotifierApi

    def router(self) -> APIRouter:
        """Everything under /phone."""
        router = APIRouter()
        add = router.add_api_route
        add("/phone", self.page, methods=["GET"], include_in_schema=False, response_model=None)
        add("/phone/static/{name}", self.static, methods=["GET"], include_in_schema=False, response_model=None)
        add("/phone/state", self.state, methods=["GET"], include_in_schema=False, response_model=None)
        add("/phone/threads", self.threads, methods=["GET"])
        add("/phone/replies", self.reply, methods=["POST"], status_code=202)
        add("/phone/faults", self.put_faults, methods=["PUT"])
        add("/phone/faults", self.get_faults, methods=["GET"])
        add("/phone/cause/{sid}", self.cause, methods=["GET"], response_model=None)
        add("/phone/ledger", self.ledger, methods=["GET"], response_model=None)
        add("/phone/simulation/step", self.step, methods=["POST"])
        return router

    async def page(self) -> Response:
        """The page."""
        return FileResponse(PAGE / "index.html", media_type="text/html", headers={"Cache-Control": "no-cache"})

    async def static(self, name: str) -> Response:
        """Its style and scripts."""
        if name not in _FILES:
            raise HTTPException(404, "no such file")
        return FileResponse(PAGE / name, media_type=_FILES[name], headers={"Cache-Control": "no-cache"})

    async def state(self, after: str = "") -> Response:
        """All that the page shows; 204 where nothing changed since version `after`."""
        simulated = isinstance(self.clock, ClockPage)
        now = self.clock.now()
        tick = now.isoformat() if simulated else now.isoformat(timespec="minutes")
        version = f"{self.network.state.work}/{self.notifier.version}/{tick}"
        if after == version:
            return Response(status_code=204)
        state = self.network.state
        snapshot = self.pump.snapshot()
        return JSONResponse(
            {
                "version": version,
                "now": now.isoformat(),
                "simulated": simulated,
                "notifier_reachable": self.notifier.reachable,
                "switched_off": self.notifier.switched_off,
                "phones": view.phones(state, self.notifier.contacts),
                "faults": [view.fault_json(fault) for fault in state.faults],
                "troubles": [view.trouble(entry) for entry in reversed(state.troubles)],
                "pending": {"due": snapshot["due"], "next_due": snapshot["next_due"], "in_flight": snapshot["in_flight"]},
            }
        )

    async def threads(self) -> list[dict[str, Any]]:
        """Each number's texts, as DESIGN.md 6."""
        if not self.notifier.contacts:
            with suppress(TimeoutError):  # the names are an extra: a clinic that is slow must not hide the texts
                async with asyncio.timeout(NAMES_WITHIN):
                    await self.notifier.refresh()
        return view.threads(self.network.state, self.notifier.contacts)

    async def reply(self, text: ReplyIn) -> ReplyOut:
        """A phone texts the clinic. Answers once the webhook was answered, or with its failure."""
        line = text.to or view.default_line(self.network.state, text.sender) or await self.notifier.sender()
        if line is None:
            raise DomainError("to", "no clinic is known to this phone yet", accepted="the clinic's number that it texts")
        message = self.network.receive(text.sender, line, text.body)
        await self.pump.carry(message.sid)
        hook = message.hooks[-1]
        webhook = WebhookOut(http=hook["http"], error=hook["error"], retry_at=hook["retry_at"])
        return ReplyOut.model_validate({"sid": message.sid, "opt_out_type": message.opt_out_type, "webhook": webhook})

    async def put_faults(self, wanted: FaultsIn) -> dict[str, Any]:
        """Replaces the list of faults."""
        faults = [
            Fault(
                each.fault,
                each.times,
                each.to,
                DEFAULT_CODE if each.code is None else each.code,
                DEFAULT_DELAY if each.delay is None else each.delay,
            )
            for each in wanted.faults
        ]
        self.network.set_faults(faults)
        return await self.get_faults()

    async def get_faults(self) -> dict[str, Any]:
        """What is left of them."""
        return {"faults": [view.fault_json(fault) for fault in self.network.state.faults]}

    async def cause(self, sid: str) -> Response:
        """Which event caused a text, in the notifier's words."""
        if sid not in self.network.state.messages:
            raise HTTPException(404, "no such message")
        status, body = await self.notifier.cause(sid)
        if status == 200:
            return JSONResponse(body)
        if status == 404:
            raise HTTPException(404, "the notifier knows no such text yet")
        raise HTTPException(503, "the notifier did not answer: is it running?")

    async def ledger(self, after: Annotated[int, Query(ge=0)] = 0) -> Response:
        """JSON lines, one a text, those accepted after entry `after`; for tests."""
        # A copy: texts go on coming while the answer is written, and a broken-off answer looks whole behind some proxies.
        texts = [message for message in self.network.state.messages.values() if message.n > after]
        lines = (json.dumps(view.ledger_line(message), ensure_ascii=False) + "\n" for message in texts)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def step(self) -> dict[str, Any]:
        """Does what is due, and says where things stand (for the driver of simulated time)."""
        return await self.pump.step()
