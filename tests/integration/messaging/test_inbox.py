"""Which events are new and which keys are blocked, asked in one statement; and what is left for the end of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from shared.errors import Transient
from shared.messaging import inbox, parking
from shared.messaging.unit import Unit
from tests.integration.messaging.bench import NOON, Bench, Heard, withdrawn
from tests.integration.messaging.records import arrived


async def park(bench: Bench, key: UUID, state: str) -> None:
    """Something of the key is at the desk, in that state."""
    async with bench.engine("notifier").begin() as conn:
        error = "KeyError" if state == "parked" else None
        await parking.park(conn, "notifier", arrived(withdrawn(key)), now=NOON, error=error, attempts=1)
        if state in ("replayed", "discarded"):
            await conn.exec_driver_sql(
                "UPDATE notifier.parked SET state = $1, resolved_at = now(), resolved_by = 'ops', reason = '' WHERE key = $2",
                (state, key),
            )


async def test_what_is_new_and_what_is_blocked_are_told_together(dry_bench: Bench) -> None:
    keys = {state: uuid4() for state in ("parked", "behind", "replayed", "discarded", "never")}
    elsewhere, known, new, other = uuid4(), uuid4(), uuid4(), uuid4()
    for state, key in (*keys.items(), ("parked", elsewhere)):
        if state != "never":
            await park(dry_bench, key, state)
    async with dry_bench.engine("notifier").begin() as conn:
        assert await inbox.admit(conn, "notifier", [known], [keys["never"]]) == ({known}, set())
        fresh, blocked = await inbox.admit(conn, "notifier", [known, new, other, new], [*keys.values(), keys["parked"]])
        assert fresh == {new, other}
        assert blocked == {keys["parked"], keys["behind"]}
        assert await inbox.admit(conn, "notifier", [known, new, other], list(keys.values())) == (set(), blocked)
    assert await dry_bench.count("inbox") == 3


async def test_a_key_waits_for_a_person_while_something_of_it_is_open(dry_bench: Bench) -> None:
    keys = {state: uuid4() for state in ("parked", "behind", "replayed", "discarded")}
    for state, key in keys.items():
        await park(dry_bench, key, state)
    async with dry_bench.engine("notifier").begin() as conn:
        unit = dry_bench.unit(conn, "notifier")
        waiting = {state for state, key in keys.items() if await unit.is_parked(key)}
    assert waiting == {"parked", "behind"}


async def test_what_is_left_for_later_is_written_once_and_before_who_asks_for_it(dry_bench: Bench) -> None:
    written: list[list[int]] = []

    async def write(unit: Unit, items: Sequence[int]) -> None:
        written.append(list(items))
        unit.emit(withdrawn(uuid4(), sum(items)))

    async with dry_bench.engine("scheduler").begin() as conn:
        unit = dry_bench.unit(conn)
        unit.later(write, 1)
        unit.later(write, 2)
        assert written == []
        await unit.write_left()
        unit.later(write, 3)
        await unit.flush()
        await unit.flush()
    assert written == [[1, 2], [3]]
    assert await dry_bench.count("outbox", "scheduler") == 2, "what a later write says goes out with the rest"


async def test_who_reads_what_one_of_them_writes_asks_for_that_alone(dry_bench: Bench) -> None:
    written: list[str] = []

    async def mark(unit: Unit, items: Sequence[str]) -> None:
        written.extend(items)

    async def settle(unit: Unit, items: Sequence[str]) -> None:
        written.extend(items)
        unit.later(mark, f"mark of {items[0]}")

    async with dry_bench.engine("scheduler").begin() as conn:
        unit = dry_bench.unit(conn)
        unit.later(mark, "mark")
        unit.later(settle, "settled")
        await unit.write_left(settle)
        await unit.write_left(settle)
        assert written == ["settled"]
        await unit.flush()
    assert written == ["settled", "mark", "mark of settled"], "what it left in its turn stands behind what was left before"


async def test_what_a_batch_leaves_for_later_stands_or_falls_with_it(dry_bench: Bench) -> None:
    heard, key = Heard(), uuid4()

    async def refuse(unit: Unit, items: Sequence[object]) -> None:
        raise Transient("busy")

    async def leave(unit: Unit, event: object) -> None:
        unit.later(refuse, event)

    heard.on_event = leave
    handling = dry_bench.handling(heard)
    one = arrived(withdrawn(key))
    for _ in range(2):
        try:
            await handling.as_batch([one])
        except Transient:
            continue
        raise AssertionError("the write failed and the batch did not")
    assert await dry_bench.count("inbox") == 0, "the event is not counted as handled"
    assert handling.counts.handled == 0
