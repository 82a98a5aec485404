"""Texts from numbers that nobody on file has. They are kept for a person; risk wording gets the crisis line of the clinic's
country, and the clinic's crisis contact is paged until somebody has read it (DESIGN.md rule 6; decision 0132).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import exists, select

from services.notifier import replies
from services.notifier.domain import optout, risk
from services.notifier.domain.disposition import Disposition
from services.notifier.domain.parse import Words
from services.notifier.domain.risk import Category
from services.notifier.replies import Cause
from services.notifier.storage import heard as texts
from services.notifier.storage import strangers
from services.notifier.storage.clinics import Clinic, clinics
from services.notifier.storage.contact_rows import number_index
from services.notifier.storage.heard import Inbound
from shared.db import tables_of
from shared.defaults import default
from shared.events.base import stable_id
from shared.events.messages import RiskHeardV1
from shared.messaging.unit import Unit
from shared.messaging.work import WorkItem
from shared.ops import ops_say

WATCH = "stranger-watch"
_HOUR = timedelta(hours=1)


async def heard(unit: Unit, text: Inbound, said: Words, clinic_id: UUID, of_clinic: Clinic | None) -> Disposition:
    """A stranger's text and its one disposition. Nothing but risk wording is answered; a wish to get no texts is remembered."""
    wish, category = optout.wish(said, text.opt_out_type), risk.hear(said)
    ended = wish in ("keyword", "own-words")
    disposition: Disposition = "opt-out" if ended else "opt-in" if wish == "start" else "unknown-number"
    earlier = await strangers.opt_out_of(unit, clinic_id, number_index(unit, text.sender))
    unread = await strangers.unread_risk(unit, clinic_id, number_index(unit, text.sender))
    await texts.settle(unit, text.id, disposition, risk=category)
    if category is not None:
        event = await _answer(unit, text, category, clinic_id, None if earlier else of_clinic)
        watched = unread > 0 and await _is_watched(unit, strangers.number_id(clinic_id, number_index(unit, text.sender)))
        await _page(unit, text, event, clinic_id, of_clinic, watched=watched)
    return disposition


async def _is_watched(unit: Unit, key: UUID) -> bool:
    """Whether somebody is paged for this number already: unread texts alone do not say so, for the clinic may have named nobody
    when they came."""
    due = tables_of(unit.service).due_work
    mine = exists().where(due.c.kind == WATCH, due.c.ref == str(key), due.c.state == "waiting")
    return bool((await unit.conn.execute(select(mine))).scalar_one())


async def _answer(unit: Unit, text: Inbound, category: Category, clinic_id: UUID, by: Clinic | None) -> UUID:
    """The safe reply, within the bound of its number; none where nobody can send it or the number ended its texts earlier."""
    index = number_index(unit, text.sender)
    event = unit.emit(
        RiskHeardV1(
            clinic_id=clinic_id,
            reply_id=text.id,
            at=unit.now,
            category=category,
            safe_reply="sent" if by is not None else "no-text-possible",
        ),
        event_id=stable_id(text.id, "risk-heard"),
    )
    sent = await texts.answers_since(unit, index, "safe_reply", unit.now - _HOUR)
    if by is not None and sent < default("notifier", "safe_replies_an_hour"):
        to = strangers.number_id(clinic_id, index)
        await replies.safe_reply_to_number(unit, by, to, Cause(event, "risk-heard"), reply_id=text.id)
        await texts.answered(unit, text.id, "safe_reply")
    return event


async def _page(unit: Unit, text: Inbound, event: UUID, clinic_id: UUID, of_clinic: Clinic | None, *, watched: bool) -> None:
    """At once, and then as long as nobody has read it. One watch a number: a flood of texts is no flood of pages."""
    if of_clinic is None or of_clinic.crisis_contact_id is None:
        await ops_say(unit, "risk-from-no-patient", {"reply": str(text.id)}, dedup=str(text.id), clinic_id=clinic_id)
        return
    if watched:
        return
    await replies.crisis_of_stranger(unit, of_clinic, event, nth=0, reply_id=text.id)
    key = strangers.number_id(clinic_id, number_index(unit, text.sender))
    await _watch(unit, key, clinic_id, text.id, event, nth=1)


async def _watch(unit: Unit, key: UUID, clinic_id: UUID, reply_id: UUID, event: UUID, nth: int) -> None:
    due = unit.now + default("notifier", "crisis_watch_again")
    data = {"reply": str(reply_id), "event": str(event), "nth": nth}
    await unit.plan_work(WATCH, str(key), due, key=key, clinic_id=clinic_id, data=data)


async def fire(unit: Unit, items: Sequence[WorkItem]) -> None:
    """Pages again what nobody has read; ops hears too, once a text."""
    settings = await clinics(unit, {item.clinic_id for item in items})
    for item in items:
        reply_id, event, nth = UUID(item.data["reply"]), UUID(item.data["event"]), int(item.data["nth"])
        row = await texts.one(unit, reply_id, item.clinic_id)
        of_clinic = settings.get(item.clinic_id)
        if row is None or of_clinic is None or not await strangers.unread_risk(unit, item.clinic_id, row.number_index):
            continue
        await replies.crisis_of_stranger(unit, of_clinic, event, nth=nth, reply_id=reply_id)
        await ops_say(unit, "risk-not-read", {"reply": str(reply_id)}, dedup=str(reply_id), clinic_id=item.clinic_id)
        await _watch(unit, item.key, item.clinic_id, reply_id, event, nth + 1)
