"""The notifier's part of the way back from a restored database (docs/operations/restore.md).

No text leaves before it is known which have: our own messages.v1 says it of almost all, the provider's list of the rest. What
came in meanwhile is heard from that list: a STOP above all. Of a contact, what restrains is taken over from the topic; what staff
changed is in no topic (events hold no number), so that contact is not texted until staff have looked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from services.notifier import crisis_watch, enrolment, restored_texts, twilio_list
from services.notifier.inbound import take
from services.notifier.inbound_poll import inbound_of
from services.notifier.storage import contact_rows, heard, messages, wishes
from services.notifier.storage.clinics import senders
from services.notifier.storage.contact_rows import Contact
from services.notifier.storage.hearing_tables import contact
from services.notifier.twilio_client import Provider
from services.notifier.twilio_list import Listed
from shared.events.adherence import CrisisFlaggedV1
from shared.events.base import Event
from shared.events.messages import (
    ContactChangedV1,
    ContactEvent,
    ContactSuspendedV1,
    NumberSuspectV1,
    PatientOptedOutV1,
    PreferenceChangedV1,
)
from shared.messaging.unit import Unit
from shared.ops import ops_say
from shared.restore.mode import Restored
from shared.restore.words import RestatingUnit, Words, is_restated
from shared.runtime import Runtime

RESTORED = "restored"
_AT_A_TIME = 100
#: What the list is read back before the backup's last word: it lags, and clocks differ.
_MARGIN = timedelta(hours=1)
#: How far it is read back where the backup says nothing at all.
_AT_MOST = timedelta(days=30)


class NotifierRecollection:
    """See the module."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._flagged: set[UUID] = set()
        self._found: dict[str, int] = {}

    @property
    def listens(self) -> Mapping[type[Event], Callable[[Event], None]]:
        return {CrisisFlaggedV1: self._crisis_flagged}

    def _crisis_flagged(self, event: Event) -> None:
        if isinstance(event, CrisisFlaggedV1):
            self._flagged.add(event.reply_id)

    def identity(self, event: Event) -> Hashable | None:
        """What is said of texts and answers has deterministic ids; a contact's state is said again on purpose."""
        return None

    def highest_version(self, words: Words) -> int:
        return max((one.event.contact_version for one in words.all if isinstance(one.event, ContactEvent)), default=0)

    async def learn(self, words: Words, restored: Restored) -> None:
        """Contacts rise above every version, so that what changes on the way is heard."""
        async with self._runtime.unit() as unit:
            raised = update(contact).values(version=func.greatest(contact.c.version, restored.version_base))
            await unit.conn.execute(raised)

    async def reconcile(self, words: Words, restored: Restored) -> None:
        """The order counts: what was asked, then what was answered, then who may be asked at all, then what is in doubt."""
        provider = Provider(self._runtime.settings)
        try:
            sent, came_in = await self._ask(provider, restored)
        finally:
            await provider.close()
        fates = restored_texts.fates(words)
        async with self._runtime.unit() as unit:
            explained = await restored_texts.explain(unit, sent, fates)
        await self._record(fates, explained.of_texts)
        heard_now = await self._hear(came_in)
        suspended = await self._contacts(words)
        unsure = await self._give_up(explained.unknown, restored)
        self._found = {
            "texts_from_own_words": len(fates),
            "texts_nobody_can_name": len({each.sid for listed in explained.unknown.values() for each in listed}),
            "texts_in_doubt": unsure,
            "texts_heard": heard_now,
            "contacts_changed_since": suspended,
        }

    async def _ask(self, provider: Provider, restored: Restored) -> tuple[list[Listed], list[Any]]:
        until = restored.until or self._runtime.clock.now()
        since = (restored.since or until - _AT_MOST) - _MARGIN
        async with self._runtime.reading() as unit:
            ours = await senders(unit)
        sent = [each for sender, _ in ours for each in await twilio_list.outbound(provider, sender, since)]
        return sent, [each for sender, _ in ours for each in await twilio_list.inbound(provider, sender, since)]

    async def _record(self, fates: Mapping[UUID, restored_texts.Fate], listed: Mapping[UUID, Listed]) -> None:
        for message_id, fate in fates.items():
            async with self._runtime.unit() as unit:
                known = await messages.one(unit, message_id)
                concerned = {fate.event.person_id, fate.event.patient_id, *(known.lock_keys if known else ())} - {None}
                await unit.lock(*(key for key in concerned if key is not None))
                await restored_texts.record(unit, fate, listed.get(message_id))

    async def _hear(self, came_in: Sequence[Any]) -> int:
        """Oldest first, as if each webhook came now; how many. What adherence has taken over is watched no more."""
        texts = sorted(
            (text for text in map(inbound_of, came_in) if text is not None), key=lambda one: (str(one.sent_at), one.sid)
        )
        async with self._runtime.reading() as unit:
            known = await heard.known_sids(unit, [text.sid for text in texts])
        fresh = [text for text in texts if text.sid not in known]
        for text in fresh:
            await take(self._runtime, text)
        async with self._runtime.unit() as unit:
            for reply_id in self._flagged:
                await crisis_watch.end(unit, reply_id)
        return len(fresh)

    async def _contacts(self, words: Words) -> int:
        """Brings each contact to what was last said of it where that restrains; how many were changed by staff."""
        by_contact: dict[UUID, list[tuple[datetime, ContactEvent]]] = defaultdict(list)
        for one in words.all:
            if isinstance(one.event, ContactEvent) and not is_restated(one):
                contact_id = one.event.person_id or one.event.patient_id
                if contact_id is not None:
                    by_contact[contact_id].append((one.envelope.time, one.event))
        changed = 0
        for contact_id, history in by_contact.items():
            async with self._runtime.unit() as unit:
                await unit.lock(contact_id)
                known = await contact_rows.one(unit, contact_id)
                changed += known is not None and await _learn_contact(unit, known, history)
        return changed

    async def _give_up(self, unknown: Collection[UUID], restored: Restored) -> int:
        until = restored.until or self._runtime.clock.now()
        async with self._runtime.reading() as unit:
            texts = await restored_texts.doubted(unit, unknown, until)
        count = 0
        for text in texts:
            async with self._runtime.unit() as unit:
                await unit.lock(*text.lock_keys)
                count += await restored_texts.give_up(unit, [text])
        return count

    async def restate(self, words: Words, restored: Restored) -> Mapping[str, int]:
        async with self._runtime.reading() as unit:
            everybody = list((await unit.conn.execute(select(contact.c.id).order_by(contact.c.id))).scalars())
        for start in range(0, len(everybody), _AT_A_TIME):
            group = everybody[start : start + _AT_A_TIME]
            async with self._runtime.unit() as unit:
                await unit.lock(*group)
                again = RestatingUnit(unit)
                for contact_id in group:
                    contact_rows.say(again, PreferenceChangedV1, await contact_rows.change(again, contact_id))
        return {"contacts": len(everybody), **self._found}


async def _learn_contact(unit: Unit, known: Contact, history: Sequence[tuple[datetime, ContactEvent]]) -> bool:
    """Whether staff had changed it since."""
    last = history[-1][1].contact
    await _learn_wish(unit, known, history)
    if last.number_suspect and not known.number_suspect:
        signs = [event.why for _, event in history if isinstance(event, NumberSuspectV1)]
        await wishes.mark_suspect(unit, known.id, signs[-1] if signs else "reassigned")
    if last.texts_paused != "no" and known.pause_at(unit.now) != last.texts_paused:
        await wishes.pause(unit, known.id, last.texts_paused, last.paused_until)
    if any(isinstance(event, ContactSuspendedV1) and event.reason == "forgotten" for _, event in history):
        await enrolment.forget(unit, await contact_rows.needed(unit, known.id))
        return False
    by_staff = any(isinstance(event, ContactChangedV1) for _, event in history)
    if known.number_on_file and (by_staff or not last.number_on_file):
        now = await contact_rows.change(unit, known.id, suspended=True)
        contact_rows.say(unit, ContactSuspendedV1, now, reason=RESTORED)
        await ops_say(unit, "restored-contact", {"contact": str(known.id)}, dedup=f"{known.id}/{now.version}")
    return by_staff


async def _learn_wish(unit: Unit, known: Contact, history: Sequence[tuple[datetime, ContactEvent]]) -> None:
    """Opted out or in, where the topic says otherwise than the row (and the texts that were heard from the list)."""
    last = history[-1][1].contact
    if last.opted_out and not known.opted_out:
        outs = [(at, event.how) for at, event in history if isinstance(event, PatientOptedOutV1)]
        at, how = outs[-1] if outs else (history[-1][0], "staff")
        await wishes.opt_out(unit, known.id, how, at=at)
    elif known.opted_out and not last.opted_out:
        await wishes.opt_in(unit, known.id, "staff", at=history[-1][0])
