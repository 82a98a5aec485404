"""Fates learnt in one transaction end as if each had been learnt in one of its own: same rows, same events, same alarms."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event as database_event
from sqlalchemy import select, text

from services.notifier import callbacks
from services.notifier.storage import lock_keys
from services.notifier.storage.attempts import Letter
from services.notifier.storage.fates import Told
from services.notifier.storage.hearing_tables import open_question
from services.notifier.storage.tables import attempt, message, status_callback
from shared.clock import ClockPage
from tests.integration.notifier.bench import Bench, until
from tests.integration.notifier.texts_out import OPENING, alert, check_in, raised

MESSAGE = ("kind", "state", "why", "waits_for", "epoch", "tries", "accepted_at", "changed_at", "asked")
ATTEMPT = ("outcome", "sid_from", "look_at", "looks", "epoch")


@dataclass
class Way:
    """Four texts under way, and their letters: dose, check-in, dose, alert; `run` tells their SIDs from another way's."""

    bench: Bench
    letters: Sequence[Letter]
    run: int

    def sid(self, nth: int) -> str:
        return f"SM{self.run:016x}{nth:016x}"

    def told(self, nth: int, status: str, *, sid: int | None = None, code: int | None = None, by: str = "callback") -> Told:
        return Told(self.letters[nth].attempt_id, self.sid(nth if sid is None else sid), status, by, code)

    async def rows(self) -> list[Any]:
        """All that is on file of these texts, without what is random."""
        ids = [letter.message_id for letter in self.letters]
        mine = [letter.attempt_id for letter in self.letters]
        async with self.bench.runtime.engine.connect() as conn:
            texts = {row.id: tuple(getattr(row, name) for name in MESSAGE) for row in await conn.execute(select(message))}
            tries = {row.id: row for row in await conn.execute(select(attempt))}
            kept = (await conn.execute(select(status_callback).order_by(status_callback.c.sid, status_callback.c.status))).all()
            asked = {
                row.message_id: (row.kind, row.asked_at, row.answer_until) for row in await conn.execute(select(open_question))
            }
            alarms = (await conn.execute(text("SELECT kind, details->>'attempt' AS attempt FROM notifier.ops_notice"))).all()
        said = [(each["type"], ids.index(UUID(each["message_id"]))) for each in await self.bench.said() if _of(each, ids)]
        return [
            [texts[each] for each in ids],
            [(*(getattr(tries[each], name) for name in ATTEMPT), (tries[each].sid or "")[-1:]) for each in mine],
            [(mine.index(row.attempt_id), row.clinic_id, row.sid[-1], row.status) for row in kept if row.attempt_id in mine],
            [asked.get(each) for each in ids],
            [[name for name, nth in said if nth == each] for each in range(len(ids))],
            sorted((row.kind, mine.index(UUID(row.attempt))) for row in alarms if row.attempt and UUID(row.attempt) in mine),
        ]


def _of(event: dict[str, Any], ids: Sequence[UUID]) -> bool:
    return event["type"].startswith("message-") and UUID(event["message_id"]) in ids


async def under_way(bench: Bench, run: int) -> Way:
    assert isinstance(bench.runtime.clock, ClockPage)
    bench.runtime.clock.set(OPENING)
    one, two, three, nurse = await bench.patient(), await bench.patient(), await bench.patient(), await bench.staff()
    events = (bench.dose(one), check_in(bench, two), bench.dose(three), raised(one, alert(bench, one, nurse, severity="high")))
    letters: list[Letter] = []
    for event in events:
        await bench.hear(event)
        async with bench.runtime.unit() as unit:
            _, [letter] = await bench.sender._through_gate(unit, 1)
        letters.append(letter)
    return Way(bench, letters, run)


async def keep(bench: Bench, said: Sequence[Told]) -> list[bool]:
    async with bench.runtime.unit() as unit:
        return await callbacks.keep(unit, said)


def story(way: Way) -> list[Told]:
    """Everything at once: several statuses of one text, in every order, a repetition, a second SID, one that is another's."""
    return [
        way.told(0, "sent"),
        way.told(1, "delivered"),
        way.told(0, "delivered"),
        way.told(0, "sent"),
        way.told(1, "sent"),
        way.told(3, "sent", sid=1),  # another's, too, but a repetition: it was said of this SID before
        way.told(2, "sending", sid=1),  # another attempt's SID, attached in this very group
        way.told(3, "undelivered", code=30003),
        way.told(2, "failed"),
        way.told(2, "delivered", sid=9),  # a second SID
        way.told(3, "delivered"),
        Told(uuid4(), way.sid(7), "sent", "callback"),
    ]


async def test_a_group_ends_as_one_by_one(bench: Bench) -> None:
    apart, together = await under_way(bench, 1), await under_way(bench, 2)
    single = [(await keep(bench, [each]))[0] for each in story(apart)]
    group = await keep(bench, story(together))
    assert single == group == [True] * 11 + [False]
    assert await together.rows() == await apart.rows()
    texts, tries, kept, asked, said, alarms = await together.rows()
    assert [row[1] for row in texts] == ["delivered", "delivered", "failed", "delivered"]
    assert [row[4] for row in texts] == [3, 2, 2, 3], "one for the attempt, and one for each move"
    assert {row[6:] for row in texts[:3]} == {(bench.now, bench.now, True)}
    assert {row[:4] for row in tries} == {("taken", "callback", None, 0)}
    assert [row[-1] for row in tries] == ["0", "1", "2", "3"]
    assert len(kept) == 9, "a repetition is kept once"
    assert [each is not None for each in asked] == [True, True, True, False], "an alert asks nothing"
    sent, delivered, undelivered = "message-sent.v1", "message-delivered.v1", "message-undelivered.v1"
    assert said == [[sent, delivered], [sent, delivered], [sent, undelivered], [sent, undelivered, delivered]]
    assert alarms == [("duplicate-sid", 2), ("sid-without-attempt", 2)]


async def test_answers_that_come_together_end_as_one_by_one(bench: Bench) -> None:
    apart, together = await under_way(bench, 1), await under_way(bench, 2)
    for way, size in ((apart, 1), (together, 4)):
        answers = [(letter, way.told(nth, "queued", by="answer")) for nth, letter in enumerate(way.letters)]
        for begin in range(0, 4, size):
            await bench.sender._accepted(answers[begin : begin + size], alone=size == 1)
    assert await together.rows() == await apart.rows()
    texts, tries, _, asked, said, _ = await together.rows()
    assert {(row[1], row[4]) for row in texts} == {("accepted", 2)}
    assert {row[:4] for row in tries} == {("taken", "answer", bench.now + timedelta(minutes=10), 0)}
    assert [each is not None for each in asked] == [True, True, True, False]
    assert said == [["message-sent.v1"]] * 4


async def test_a_group_says_what_a_digest_carried(bench: Bench) -> None:
    """The fate of what was carried along is its carrier's, in a group as well."""
    way = await under_way(bench, 1)
    nurse_alert = way.letters[3]
    async with bench.runtime.engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO notifier.message (id, key, clinic_id, contact_id, patient_id, person_id, kind, template, cause_id,"
                " cause_type, state, carried_by, due_at, not_before, useful_until, created_at, changed_at)"
                " SELECT :id, 'carried', clinic_id, contact_id, patient_id, person_id, kind, template, cause_id, cause_type,"
                " 'carried', id, due_at, not_before, useful_until, created_at, changed_at FROM notifier.message WHERE id = :of"
            ),
            {"id": (carried := uuid4()), "of": nurse_alert.message_id},
        )
    await keep(bench, [way.told(0, "sent"), way.told(3, "sent"), way.told(3, "delivered")])
    about = [each["type"] for each in await bench.said("message-sent", "message-delivered") if each["message_id"] == str(carried)]
    assert about == ["message-sent.v1", "message-delivered.v1"]


@pytest.mark.parametrize("whose", ["its own", "another process's"])
async def test_a_group_locks_everybody_before_it_writes(bench: Bench, monkeypatch: pytest.MonkeyPatch, whose: str) -> None:
    """One statement with all keys (DESIGN.md rule 2), and before it nothing but the look-up of the keys, where another process
    has begun the attempts."""
    way = await under_way(bench, 1)
    if whose != "its own":
        monkeypatch.setattr(lock_keys, "_known", {})
    with noted(bench) as statements:
        await keep(bench, [way.told(nth, "sent") for nth in range(4)])
    locks = [nth for nth, (statement, _) in enumerate(statements) if "pg_advisory_xact_lock" in statement]
    assert locks == [0 if whose == "its own" else 1]
    assert all(
        "FOR UPDATE" not in statement and statement.lstrip().startswith("SELECT") for statement, _ in statements[: locks[0]]
    )
    [keys] = statements[locks[0]][1][-1:]
    assert len(keys) == 4, "three patients and the nurse who is texted about one of them"


@contextmanager
def noted(bench: Bench) -> Iterator[list[tuple[str, Any]]]:
    """Every statement as it goes to the database, with its parameters."""
    statements: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        statements.append((statement, parameters))

    engine = bench.runtime.engine.sync_engine
    database_event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        database_event.remove(engine, "before_cursor_execute", note)


async def only_one_attempting(bench: Bench, doses: Sequence[Any]) -> bool:
    return [(await bench.dose_message(dose)).state for dose in doses].count("attempting") == 1


async def test_one_patient_who_is_locked_holds_up_nobody_else(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers of five texts come together while somebody holds one patient's lock."""
    patients = [await bench.patient() for _ in range(5)]
    doses = [bench.dose(each) for each in patients]
    for dose in doses:
        await bench.hear(dose)
    async with bench.runtime.unit() as holder:
        started = asyncio.Event()
        send = bench.provider.send

        async def held(letter: Letter, *, committed_at: float) -> Any:
            answer = await send(letter, committed_at=committed_at)
            if not started.is_set():
                await holder.lock(patients[0].id)
                started.set()
            await started.wait()
            return answer

        monkeypatch.setattr(bench.provider, "send", held)
        await bench.sender.run(bench.now)
        await until(lambda: only_one_attempting(bench, doses), "four of five are recorded long before the lock is let go", 5)
        assert (await bench.dose_message(doses[0])).state == "attempting"
    await bench.send()
    assert {(await bench.dose_message(dose)).state for dose in doses} <= {"accepted", "sent", "delivered"}
