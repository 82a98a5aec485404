"""What our own words and the provider's list make of a text, whatever state the backup has it in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select

from services.notifier import restored_texts
from services.notifier.domain.message import MessageDraft, MessageState
from services.notifier.newcomers import sealed
from services.notifier.restored_texts import Fate
from services.notifier.storage import contact_rows, messages
from services.notifier.storage.hearing_tables import clinic_settings
from services.notifier.storage.tables import attempt
from services.notifier.twilio_list import Listed
from shared.crypto import FieldCipher
from shared.db import make_engine, tables_of
from shared.events.messages import MessageDeliveredV1, MessageSentV1, MessageWithheldV1
from shared.messaging.unit import Unit
from tests.support.parts import Database

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLINIC, PATIENT = uuid4(), uuid4()
NUMBER, SENDER = "+12025550142", "+12025550100"
#: How a text gets from the queue to the state in which the backup has it.
WAYS: Mapping[MessageState, tuple[MessageState, ...]] = {
    "queued": (),
    "withheld": ("withheld",),
    "expired": ("expired",),
    "accepted": ("attempting", "accepted"),
    "undelivered": ("attempting", "undelivered"),
    "rejected": ("attempting", "rejected"),
}


@asynccontextmanager
async def notifier(database: Database) -> AsyncIterator[Unit]:
    engine = make_engine(database.url("notifier"), service="notifier")
    try:
        async with engine.begin() as conn:
            unit = Unit(conn, now=NOW, service="notifier", cipher=FieldCipher(bytes(32)))
            wanted = {"name": "Canary Quillfeather", "alias": None, "number": NUMBER, "language": "en", "privacy": "discreet"}
            row = sealed(unit, PATIENT, wanted) | {"clinic_id": CLINIC, "role": "patient"}
            await contact_rows.insert_contacts(unit, {PATIENT: row})
            settings = {"clinic_id": CLINIC, "name": "Clinic", "zone": "UTC", "country": "US", "sender": SENDER, "language": "en"}
            await conn.execute(insert(clinic_settings).values(**settings, changed_at=NOW))
            yield unit
            await conn.rollback()
    finally:
        await engine.dispose()


async def queued(unit: Unit, key: str, due: datetime = NOW) -> UUID:
    draft = MessageDraft(key, "check-in", CLINIC, "mood/mood", uuid4(), "check-in-due", due, NOW + timedelta(hours=9), PATIENT)
    found = await messages.queue(unit, draft)
    assert found is not None
    return found


def delivered(message_id: UUID, at: datetime = NOW) -> Fate:
    event = MessageDeliveredV1(clinic_id=CLINIC, patient_id=PATIENT, message_id=message_id, kind="check-in", at=at)
    return Fate("delivered", event, at)


def listed(at: datetime = NOW, body: str = "How is your mood?") -> Listed:
    return Listed(f"SM{uuid4().hex}", SENDER, NUMBER, body, at)


@pytest.mark.parametrize(("state", "after"), [(state, "rejected" if state == "rejected" else "delivered") for state in WAYS])
async def test_a_text_that_left_is_one_that_left(database: Database, state: MessageState, after: str) -> None:
    async with notifier(database) as unit:
        wanted = await queued(unit, "occurrence/a")
        for step in WAYS[state]:
            known = await messages.one(unit, wanted)
            assert known is not None
            why = {"why": "opted-out"} if step in ("withheld", "expired", "rejected") else {}
            assert await messages.move(unit, known, step, **why)
        await restored_texts.record(unit, delivered(wanted), listed())
        known = await messages.one(unit, wanted)
        assert known is not None
        assert known.state == after


async def test_a_text_that_nobody_asks_for_any_more_cannot_be_asked_for_again(database: Database) -> None:
    async with notifier(database) as unit:
        wanted = messages.message_id("occurrence/b")
        await restored_texts.record(unit, delivered(wanted), listed())
        draft = MessageDraft("occurrence/b", "check-in", CLINIC, "mood/mood", uuid4(), "check-in-due", NOW, NOW, PATIENT)
        assert await messages.queue(unit, draft) is None
        messages.queue_or_reissue(unit, replace(draft, plan_version=9))
        await unit.write_left()
        assert (await unit.conn.execute(select(attempt.c.outcome))).scalars().all() == ["taken"]


async def test_a_later_word_of_lower_rank_changes_nothing(database: Database) -> None:
    async with notifier(database) as unit:
        wanted = await queued(unit, "occurrence/c")
        about = {"clinic_id": CLINIC, "patient_id": PATIENT, "message_id": wanted, "at": NOW}
        await restored_texts.record(unit, delivered(wanted), None)
        await restored_texts.record(unit, Fate("accepted", MessageSentV1(**about, kind="check-in"), NOW), None)
        withheld = MessageWithheldV1(**about, kind="check-in", why="opted-out")
        await restored_texts.record(unit, Fate("withheld", withheld, NOW, "opted-out"), None)
        known = await messages.one(unit, wanted)
        assert known is not None
        assert known.state == "delivered"


async def test_what_the_list_holds_and_no_word_explains_puts_the_number_in_doubt(database: Database) -> None:
    async with notifier(database) as unit:
        said, unsaid, later = [await queued(unit, f"occurrence/{n}", NOW + timedelta(hours=n)) for n in range(3)]
        fates = {said: delivered(said)}
        explained = await restored_texts.explain(unit, [listed(NOW), listed(NOW + timedelta(hours=1))], fates)
        assert set(explained.of_texts) == {said}
        assert list(explained.unknown) == [PATIENT]
        await restored_texts.record(unit, fates[said], explained.of_texts[said])
        doubted = await restored_texts.doubted(unit, explained.unknown, NOW + timedelta(hours=1, minutes=30))
        assert [text.id for text in doubted] == [unsaid], "what comes due afterwards is in no doubt"
        assert await restored_texts.give_up(unit, doubted) == 1
        states = [text.state for each in (said, unsaid, later) if (text := await messages.one(unit, each))]
        assert states == ["delivered", "unconfirmed", "queued"]
        await unit.flush()
        types = (await unit.conn.execute(select(tables_of("notifier").outbox.c.type))).scalars().all()
        assert types == ["message-unconfirmed.v1"], "it is said"


async def test_a_list_that_our_own_words_explain_puts_nobody_in_doubt(database: Database) -> None:
    async with notifier(database) as unit:
        said = await queued(unit, "occurrence/d")
        explained = await restored_texts.explain(unit, [listed(NOW + timedelta(seconds=30))], {said: delivered(said)})
        assert not explained.unknown
        await restored_texts.record(unit, delivered(said), explained.of_texts[said])
        again = await restored_texts.explain(unit, [explained.of_texts[said]], {said: delivered(said)})
        assert not again.unknown, "done again it finds the same"
