"""Twilio's REST surface for messages: create, fetch, list. What it answers is Twilio's, faults included."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from steadypath.phone.faults import Fault
from steadypath.phone.listing import page, resource, select
from steadypath.phone.network import Begin, Network
from steadypath.phone.pump import Pump
from steadypath.phone.settings import PhoneSettings
from steadypath.phone.state import Message
from steadypath.phone.wire import API_VERSION, Create, Refusal, read_create, refusal

#: Machine seconds for which a hung connection is held when the client does not leave by itself.
HANG = 60.0
Form = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rest:
    """The handlers. Every refusal is a `Refusal` and becomes Twilio's error body in app.py."""

    settings: PhoneSettings
    network: Network
    pump: Pump
    #: Requests since this process began, whatever became of them.
    counts: Counter[str] = field(default_factory=Counter)

    def routes(self) -> list[Route]:
        """For the root: the paths are Twilio's own. Plain routes, for FastAPI's layers would cost as much as taking a text."""
        messages = f"/{API_VERSION}/Accounts/{{account}}/Messages"
        return [
            Route(f"{messages}.json", self.create, methods=["POST"]),
            Route(f"{messages}.json", self.listing, methods=["GET"]),
            Route(f"{messages}/{{sid}}.json", self.fetch, methods=["GET"]),
            Route("/phone/requests", self.requests, methods=["GET"]),
        ]

    async def requests(self, _request: Request) -> Response:
        """How often each was asked for."""
        return JSONResponse(dict(self.counts))

    async def create(self, request: Request) -> Response:
        """POST Messages.json."""
        self.counts["create"] += 1
        begun = self.network.begin()
        self._authenticate(request)
        form = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        try:
            asked = read_create(form)
            if self.network.is_opted_out(self.network.sender_of(asked), asked.to):
                raise refusal(21610)
            met = self.network.meet_faults(asked.to)
            for fault in met:
                if not fault.accepts and fault.fault != "hang":
                    raise refusal(20429 if fault.fault == "429" else fault.code, asked.to)
        except Refusal as why:
            self.network.refused(begun, why, form)
            raise
        if any(fault.fault == "hang" for fault in met):
            self.network.refused(begun, "held open and never taken (hang)", form)
            return await self._hang(request)
        return await self._take(request, asked, begun, met)

    async def _take(self, request: Request, asked: Create, begun: Begin, met: list[Fault]) -> Response:
        message = self.network.accept(asked, begun, met)
        self.pump.hold(message.sid)
        names = {fault.fault for fault in met}
        if "drop-after-accept" in names:
            self.pump.release(message.sid)
            return await self._drop(request)
        after = BackgroundTask(self._release, message.sid)
        if "500-after-accept" in names:
            return JSONResponse(refusal(20500).body(), 500, background=after)
        return JSONResponse(resource(message, self.settings.account_sid), 201, background=after)

    async def _release(self, sid: str) -> None:
        """A coroutine, so that it runs on the loop: Starlette gives a plain function a thread."""
        self.pump.release(sid)

    async def listing(self, request: Request) -> Response:
        """GET Messages.json."""
        self.counts["list"] += 1
        self._authenticate(request)
        query = dict(request.query_params)
        found = select(self.network.state.messages.values(), query, self.network.clock.now())
        answer = page(found, query, self.settings.account_sid)
        for shown in answer["messages"]:
            self.network.looked_at(self.network.state.messages[shown["sid"]], "list")
        return JSONResponse(answer)

    async def fetch(self, request: Request) -> Response:
        """GET Messages/{sid}.json."""
        self.counts["fetch"] += 1
        self._authenticate(request)
        message: Message | None = self.network.state.messages.get(request.path_params["sid"])
        if message is None:
            raise refusal(20404, f"{request.url.path}")
        self.network.looked_at(message, "fetch")
        return JSONResponse(resource(message, self.settings.account_sid))

    def _authenticate(self, request: Request) -> None:
        user, secret = _basic(request.headers.get("authorization", ""))
        known = {self.settings.account_sid: self.settings.auth_token, **self.settings.api_keys}
        expected = known.get(user)
        right = expected is not None and hmac.compare_digest(expected.encode(), secret.encode())
        if not right or request.path_params["account"] != self.settings.account_sid:
            raise refusal(20003)

    async def _drop(self, request: Request) -> Response:
        """Closes the socket without a byte: the client cannot know whether its text was taken."""
        request.state.transport.abort()
        await _gone(request)
        return Response(status_code=500)

    async def _hang(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(HANG):
                await _gone(request)
        except TimeoutError:
            request.state.transport.abort()
        return Response(status_code=500)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise refusal(20003)
    try:
        user, _, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise refusal(20003) from None
    return user, secret
