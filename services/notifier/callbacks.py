"""The webhook of message statuses: `POST /notifier/twilio/status/{attempt_id}`.

The path tells which attempt it is about even where the answer to the request was lost. A status is a row, unique by SID, status
and code; its effect happens in the same transaction; 200 only after the commit. The provider may say things twice, late and in
any order: see `domain.message.after_status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from services.notifier import fate
from services.notifier.domain.outcome import SID
from services.notifier.storage import lock_keys
from services.notifier.storage.fates import Told
from services.notifier.together import Together, patience, turn_of
from services.notifier.webhook import Refused, Webhooks
from shared.defaults import default
from shared.http.plain import plain
from shared.messaging.unit import Unit
from shared.runtime import Runtime

_WITHIN: timedelta = default("notifier", "callback_within")
_GROUP: int = default("notifier", "group_at_most")
_ID = {"name": "attempt_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_IN_THE_PATH = {"parameters": [_ID]}


class Callback:
    """One status, checked. Raises Refused (403) for fields that no status of ours can have."""

    def __init__(self, form: FormData) -> None:
        self.sid = str(form.get("MessageSid") or form.get("SmsSid") or "")
        self.status = str(form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
        code = str(form.get("ErrorCode") or "")
        if not SID.fullmatch(self.sid) or not self.status.replace("_", "").isalpha() or len(self.status) > 32:
            raise Refused(403)
        self.error_code = int(code) if code.isascii() and code.isdigit() and len(code) <= 6 else None


async def keep(unit: Unit, said: Sequence[Told], *, within: int | None = None) -> list[bool]:
    """Puts statuses down and lets them act, in this order. False for one of which there is no attempt; a repetition changes
    nothing. `within` as for `Unit.lock`."""
    await unit.lock(*await lock_keys.of(unit, *{each.attempt_id for each in said}), within=within)
    known = await fate.heed(unit, *said)
    return [each.attempt_id in known.pairs for each in said]


def router(runtime: Runtime, webhooks: Webhooks) -> APIRouter:
    routes = APIRouter(tags=["twilio"])

    async def carry(items: Sequence[Told], *, alone: bool) -> list[bool]:
        async with runtime.unit() as unit:
            return await keep(unit, items, within=patience(alone=alone))

    together = Together(carry, at_most=_GROUP, turn=turn_of(runtime))

    @routes.post("/twilio/status/{attempt_id}", summary="Status callback of the provider (signed)", openapi_extra=_IN_THE_PATH)
    @plain  # each text comes here twice
    async def status(request: Request) -> Response:
        try:
            async with asyncio.timeout(_WITHIN.total_seconds()):
                callback = Callback(await webhooks.form(request))
                attempt_id = _attempt_of(request)
                said = Told(attempt_id, callback.sid, callback.status, "callback", callback.error_code)
                # One with a code may concern number, consent or channel: a matter of its own.
                known = await together(said) if said.error_code is None else (await carry([said], alone=True))[0]
        except Refused as refusal:
            return Response(status_code=refusal.status_code)
        except TimeoutError:
            return Response(status_code=503)
        return Response(status_code=200 if known else 404)

    return routes


def _attempt_of(request: Request) -> UUID:
    """Raises Refused (404) for what is no id of ours."""
    try:
        return UUID(request.path_params["attempt_id"])
    except ValueError:
        raise Refused(404) from None
