"""The webhook of message statuses: `POST /notifier/twilio/status/{attempt_id}`.

The path tells which attempt it is about even where the answer to the request was lost. A status is a row, unique by SID, status
and code; its effect happens in the same transaction; 200 only after the commit. The provider may say things twice, late and in
any order: see `domain.message.after_status`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.dialects.postgresql import insert
from starlette.datastructures import FormData

from services.notifier import fate
from services.notifier.domain.outcome import SID
from services.notifier.storage import attempts, messages
from services.notifier.storage.tables import status_callback
from services.notifier.webhook import Refused, Webhooks
from shared.defaults import default
from shared.messaging.unit import Unit
from shared.runtime import Runtime

_WITHIN: timedelta = default("notifier", "callback_within")
_KEEP = insert(status_callback).on_conflict_do_nothing().returning(status_callback.c.sid)


class Callback:
    """One status, checked. Raises Refused (403) for fields that no status of ours can have."""

    def __init__(self, form: FormData) -> None:
        self.sid = str(form.get("MessageSid") or form.get("SmsSid") or "")
        self.status = str(form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
        code = str(form.get("ErrorCode") or "")
        if not SID.fullmatch(self.sid) or not self.status.replace("_", "").isalpha() or len(self.status) > 32:
            raise Refused(403)
        self.error_code = int(code) if code.isascii() and code.isdigit() and len(code) <= 6 else None


async def keep(unit: Unit, attempt_id: UUID, callback: Callback) -> bool:
    """Puts the status down and lets it act. False where there is no such attempt; a repetition changes nothing."""
    await unit.lock(*await messages.lock_keys_of(unit, attempt_id))
    known = await attempts.get(unit, attempt_id)
    if known is None:
        return False
    values = {"attempt_id": attempt_id, "clinic_id": known.clinic_id, "sid": callback.sid, "status": callback.status}
    values |= {"error_code": callback.error_code or 0, "received_at": unit.now}
    new = await unit.conn.execute(_KEEP, values)
    if new.scalar_one_or_none() is not None:
        await fate.provider_has(
            unit, attempt_id, callback.sid, callback.status, learnt_from="callback", error_code=callback.error_code
        )
    return True


def router(runtime: Runtime, webhooks: Webhooks) -> APIRouter:
    routes = APIRouter(tags=["twilio"])

    @routes.post("/twilio/status/{attempt_id}", summary="Status callback of the provider (signed)", status_code=200)
    async def status(attempt_id: UUID, request: Request) -> Response:
        try:
            async with asyncio.timeout(_WITHIN.total_seconds()):
                callback = Callback(await webhooks.form(request))
                async with runtime.unit() as unit:
                    known = await keep(unit, attempt_id, callback)
        except Refused as refusal:
            return Response(status_code=refusal.status_code)
        except TimeoutError:
            return Response(status_code=503)
        return Response(status_code=200 if known else 404)

    return routes
