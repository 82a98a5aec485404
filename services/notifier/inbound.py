"""How texts come in: the signed webhook `POST /notifier/twilio/inbound`, and a poll for what the webhook missed.

A text is a row, unique by its SID, and all its effects are in the row's transaction; 200 only after the commit, 503 where that
takes too long (then Twilio may repeat, or the poll finds it). A STOP is answered once no text to that person is under way (rule
2). The answer is always an empty TwiML document: what we have to say goes through the gate.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from time import monotonic

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from services.notifier import under_way
from services.notifier.domain.outcome import SID
from services.notifier.hearing import Hearing, hear, keep_for_a_person
from services.notifier.storage.heard import Inbound
from services.notifier.webhook import Refused, Webhooks
from shared.defaults import default
from shared.identity import clinic_id_of
from shared.logs import log
from shared.messaging.failures import Policy, policy_of
from shared.runtime import Runtime

_WITHIN: timedelta = default("notifier", "inbound_within")
_EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


def read(form: FormData) -> Inbound:
    """The text of a webhook. Raises Refused (403) for fields that no text can have."""
    keys = [key for key, _value in form.multi_items()]
    sid = str(form.get("MessageSid") or form.get("SmsSid") or "")
    # A doubled field with one value passes the signature (the provider's validator takes them as one); Twilio never sends one.
    if len(keys) != len(set(keys)) or not SID.fullmatch(sid) or not form.get("From") or not form.get("To"):
        raise Refused(403)
    told = str(form.get("OptOutType") or "").upper()
    return Inbound(
        sid=sid,
        sender=str(form["From"]),
        to=str(form["To"]),
        body=str(form.get("Body") or ""),
        came_by="webhook",
        opt_out_type=told if told in ("STOP", "START", "HELP") else None,
    )


async def take(runtime: Runtime, text: Inbound) -> Hearing:
    """Stores the text with all its effects; a lost race in the database is tried once more (nothing was kept of the first).

    What we cannot handle is stored all the same, for a person to read, and ops hears: a text is never dropped. Where the database
    is away it raises: then nothing is stored, and the provider or the poll brings the text again.
    """
    home = clinic_id_of(runtime.settings.clinic)
    for last in (False, True):
        try:
            async with runtime.unit() as unit:
                return await hear(unit, text, home)
        except Exception as error:
            policy = policy_of(error)
            if policy is Policy.WAIT or (policy is Policy.RETRY and last):
                raise
            log.failure("inbound text not handled", error, level="warning" if policy is Policy.RETRY else "error")
            if policy is Policy.PARK:
                break
    async with runtime.unit() as unit:
        return await keep_for_a_person(unit, text, home)


def router(runtime: Runtime, webhooks: Webhooks) -> APIRouter:
    routes = APIRouter(tags=["twilio"])

    @routes.post("/twilio/inbound", summary="Inbound text from the provider (signed)", status_code=200)
    async def inbound(request: Request) -> Response:
        arrived = monotonic()
        try:
            async with asyncio.timeout(_WITHIN.total_seconds()):
                heard = await take(runtime, read(await webhooks.form(request)))
        except Refused as refusal:
            return Response(status_code=refusal.status_code)
        except TimeoutError:
            return Response(status_code=503)
        if heard.stop_for:
            await under_way.drain(runtime, heard.stop_for, arrived)
        return Response(_EMPTY, media_type="application/xml")

    return routes
