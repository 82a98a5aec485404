"""The webhook of message statuses: `POST /notifier/twilio/status/{attempt_id}`.

The path tells which attempt it is about even where the answer to the request was lost. A status is a row, unique by SID, status
and code; its effect happens in the same transaction; 200 only after the commit. The provider may say things twice, late and in
any order: see `domain.message.after_status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import DateTime, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from starlette.datastructures import FormData

from services.notifier import fate
from services.notifier.domain.outcome import SID
from services.notifier.fate import Told
from services.notifier.storage import SERVICE, fates, messages
from services.notifier.storage.fates import Pair
from services.notifier.together import Together, patience
from services.notifier.webhook import Refused, Webhooks
from shared.db import typed_sql
from shared.defaults import default
from shared.http.plain import plain
from shared.messaging.unit import Unit
from shared.runtime import Runtime

_WITHIN: timedelta = default("notifier", "callback_within")
_GROUP: int = default("notifier", "group_at_most")
_ID = {"name": "attempt_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_IN_THE_PATH = {"parameters": [_ID]}
_KEEP = typed_sql(
    SERVICE,
    "INSERT INTO ~status_callback (attempt_id, clinic_id, sid, status, error_code, received_at)"
    " SELECT *, :now FROM unnest(:attempts, :clinics, :sids, :statuses, :codes)"
    " ON CONFLICT DO NOTHING RETURNING sid, status, error_code",
    binds=(
        ("now", DateTime(timezone=True)),
        *((name, ARRAY(Uuid())) for name in ("attempts", "clinics")),
        *((name, ARRAY(Text())) for name in ("sids", "statuses")),
        ("codes", ARRAY(Integer())),
    ),
)


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
    ids = {each.attempt_id for each in said}
    await unit.lock(*await messages.lock_keys_of(unit, *ids), within=within)
    known = await fates.read(unit, ids)
    new = await _put_down(unit, known, [each for each in said if each.attempt_id in known])
    await fate.heed(unit, known, new)
    return [each.attempt_id in known for each in said]


async def _put_down(unit: Unit, known: Mapping[UUID, Pair], said: Sequence[Told]) -> list[Told]:
    """Those that had not been said before."""
    first = {_key(each): each for each in reversed(said)}
    if not first:
        return []
    rows = [first[key] for key in sorted(first)]  # in one order, so that two that put the same down wait for each other in turn
    values = {
        "attempts": [each.attempt_id for each in rows],
        "clinics": [known[each.attempt_id].attempt.clinic_id for each in rows],
        "sids": [each.sid for each in rows],
        "statuses": [each.status for each in rows],
        "codes": [each.error_code or 0 for each in rows],
    }
    new = {tuple(row) for row in await unit.conn.execute(_KEEP, {"now": unit.now, **values})}
    return [each for each in said if _key(each) in new and first[_key(each)] is each]


def _key(said: Told) -> tuple[str, str, int]:
    return said.sid, said.status, said.error_code or 0


def router(runtime: Runtime, webhooks: Webhooks) -> APIRouter:
    routes = APIRouter(tags=["twilio"])

    async def carry(items: Sequence[Told], *, alone: bool) -> list[bool]:
        async with runtime.unit() as unit:
            return await keep(unit, items, within=patience(alone=alone))

    together = Together(carry, at_most=_GROUP)

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
