"""Composition root of the notifier: sending and hearing, declared once. Nothing else wires."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from services.notifier import callbacks, inbound, shown
from services.notifier.account import AccountPass
from services.notifier.domain.templates import load
from services.notifier.handlers import adherence, crisis, due, parked, plans
from services.notifier.http import bulk, clinic, contacts, messages, switch
from services.notifier.inbound_poll import InboundPass
from services.notifier.reconcile import Reconciler
from services.notifier.restore import NotifierRecollection
from services.notifier.sealed import TABLES as SEALED
from services.notifier.sender import Sender
from services.notifier.storage import METADATA, SERVICE
from services.notifier.switch import FIRES as SWITCH_FIRES
from services.notifier.twilio_client import Provider
from services.notifier.webhook import Webhooks
from shared.messaging.unit import Handlers, Pass
from shared.runtime import Runtime
from shared.service import ServiceSpec

HANDLERS: Handlers = {**plans.HANDLERS, **due.HANDLERS, **adherence.HANDLERS, **crisis.HANDLERS}


def router(runtime: Runtime) -> APIRouter:
    """Every route of the notifier; the provider's need a signature, all others a key."""
    webhooks = Webhooks.from_settings(runtime.settings)
    own = (messages, switch, contacts, bulk, clinic)
    # The provider's first: a request is matched against one route after another, and most requests are statuses. In one level:
    # FastAPI counts the routes of every router that is included anew with every request.
    parts = (*(each.router(runtime, webhooks) for each in (callbacks, inbound)), *(each.router(runtime) for each in own))
    return APIRouter(routes=[route for part in parts for route in part.routes])


def passes(runtime: Runtime) -> Sequence[Pass]:
    """What a worker of the notifier does beside handling events: sending, and asking what became of what was sent."""
    provider = Provider(runtime.settings)
    always = (Sender(runtime, provider, load()), Reconciler(runtime, provider), InboundPass(runtime, provider))
    # Simulated time asks for nothing that has no clinical time.
    return always if runtime.settings.simulated else (*always, AccountPass(runtime, provider))


SPEC = ServiceSpec(
    name=SERVICE,
    handlers=HANDLERS,
    fires={**crisis.FIRES, **parked.FIRES, **SWITCH_FIRES},
    tables=METADATA,
    router=router,
    passes=passes,
    sealed=SEALED,
    recollection=NotifierRecollection,
    checks=lambda runtime: (*switch.checks(runtime), *shown.checks(runtime)),
    needs=("twilio_account_sid", "twilio_auth_token", "public_base_url"),
)
