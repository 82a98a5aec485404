"""Due work: rows with a clinical due time, and the ticker that fires them.

Order of locks, the same as the delivery's, so that the two never deadlock: candidates are read without a lock, then the patient
locks of all their keys are taken, then the rows are deleted with FOR UPDATE SKIP LOCKED, those that are still due. Two tickers
therefore never fire one row twice, and a row that a handler has just moved is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CursorResult, Row, Text, bindparam, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.crypto import FieldCipher
from shared.db import reader, spelt_out, tables_of, typed_sql
from shared.errors import DomainError, SteadypathError
from shared.events.base import stable_id
from shared.logs import log
from shared.messaging.counts import Counts
from shared.messaging.failures import Policy, class_of, policy_of
from shared.messaging.locks import lock_keys
from shared.messaging.unit import Buffers, Fire, Fires, Unit, Wake
from shared.messaging.work import WorkItem

BATCH = 100
_BATCHES_A_RUN = 10
_TEXTS = ARRAY(Text)
_IDS = ARRAY(PG_UUID(as_uuid=True))
#: Clinical pauses before a failed item is fired again; after the last it is parked.
BACK_OFF = tuple(timedelta(seconds=seconds) for seconds in (2, 10, 60, 300))


class NoFire(SteadypathError):
    """This release knows no fire for the kind: a newer one planned it."""


def _nobody(_name: str) -> None:
    """Wakes no pass: there is none in this process."""


class Ticker:
    """The pass named "ticker": fires what is due."""

    name = "ticker"

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        service: str,
        cipher: FieldCipher,
        fires: Fires,
        wake: Wake = _nobody,
        counts: Counts | None = None,
    ) -> None:
        self.counts = counts or Counts()
        self._engine = engine
        self._reader = reader(engine)
        self._service = service
        self._cipher = cipher
        self._fires = fires
        self._wake = wake
        self._table = tables_of(service).due_work
        self._in_flight = 0
        of = self._table.c
        waiting = of.state == spelt_out("waiting")
        self._first_due = select(func.min(of.due_at)).where(waiting)
        due_now = select(of.kind, of.ref, of.key).where(waiting, of.due_at <= bindparam("now"))
        self._due_now = due_now.order_by(of.due_at, of.kind, of.ref).limit(BATCH)

    async def run(self, now: datetime) -> int:
        """Fires what is due at the clinical instant, in batches; how many items. Raises where the database is away."""
        fired = 0
        for _ in range(_BATCHES_A_RUN):
            candidates = await self._candidates(now)
            if not candidates:
                break
            done = await self._fire(candidates, now)
            if not done:
                break  # another ticker has them
            fired += done
            if len(candidates) < BATCH:
                break  # those were all; whoever makes more that is due wakes us
        return fired

    async def next_due(self) -> datetime | None:
        """The clinical instant of the next waiting row, overdue ones included."""
        async with self._reader.connect() as conn:
            found: datetime | None = (await conn.execute(self._first_due)).scalar()
        return found

    def in_flight(self) -> int:
        return self._in_flight

    async def _candidates(self, now: datetime) -> list[tuple[str, str, UUID]]:
        async with self._reader.connect() as conn:
            return [(row.kind, row.ref, row.key) for row in await conn.execute(self._due_now, {"now": now})]

    async def _fire(self, candidates: Sequence[tuple[str, str, UUID]], now: datetime) -> int:
        """Fires the batch in one transaction; where that fails, each item in its own. How many were settled."""
        self._in_flight = len(candidates)
        try:
            return await self._in_one(candidates, now)
        except Exception as error:
            if policy_of(error) is Policy.WAIT:
                raise
            self.counts.fires_failed += 1
            log.failure("batch of due work failed, going one by one", error, level="warning", rows=len(candidates))
            return sum([await self._alone(candidate, now) for candidate in candidates])
        finally:
            self._in_flight = 0

    async def _in_one(self, candidates: Sequence[tuple[str, str, UUID]], now: datetime) -> int:
        buffers = Buffers()
        async with self._engine.begin() as conn:
            await lock_keys(conn, self._service, [key for _, _, key in candidates])
            items = await self._take(conn, candidates, now)
            for kind in dict.fromkeys(item.kind for item in items):
                fire = self._fire_of(kind)
                unit = Unit(conn, now=now, service=self._service, cipher=self._cipher, buffers=buffers)
                await fire(unit, [item for item in items if item.kind == kind])
            await Unit(conn, now=now, service=self._service, cipher=self._cipher, buffers=buffers).flush()
        self.counts.fired += len(items)
        buffers.committed(self._wake)
        return len(items)

    def _fire_of(self, kind: str) -> Fire:
        if kind not in self._fires:
            raise NoFire("no fire for this kind")
        return self._fires[kind]

    async def _take(self, conn: AsyncConnection, candidates: Sequence[tuple[str, str, UUID]], now: datetime) -> list[WorkItem]:
        """Deletes those that are still due, still of the key that we have locked, and not in another ticker's hands."""
        statement = typed_sql(
            self._service,
            "WITH wanted AS (SELECT * FROM unnest(:kinds, :refs, :keys) AS w(kind, ref, key)), mine AS ("
            "SELECT d.kind, d.ref FROM ~due_work d JOIN wanted USING (kind, ref, key) "
            "WHERE d.state = 'waiting' AND d.due_at <= :now ORDER BY d.kind, d.ref FOR UPDATE OF d SKIP LOCKED) "
            "DELETE FROM ~due_work d USING mine WHERE d.kind = mine.kind AND d.ref = mine.ref "
            "RETURNING d.kind, d.ref, d.key, d.clinic_id, d.due_at, d.data, d.attempts",
            columns=(("data", JSONB),),
            binds=(("kinds", _TEXTS), ("refs", _TEXTS), ("keys", _IDS)),
        )
        kinds, refs, keys = (list(column) for column in zip(*candidates, strict=True))
        values = {"kinds": kinds, "refs": refs, "keys": keys, "now": now}
        rows = await conn.execute(statement, values)
        return sorted((_item(row) for row in rows), key=lambda item: (item.due_at, item.kind, item.ref))

    async def _alone(self, candidate: tuple[str, str, UUID], now: datetime) -> int:
        try:
            return await self._in_one([candidate], now)
        except Exception as error:
            if policy_of(error) is Policy.WAIT:
                raise
            log.failure("due work failed", error, kind=candidate[0])
            return await self._put_off(candidate, now, class_of(error))

    async def _put_off(self, candidate: tuple[str, str, UUID], now: datetime, error: str) -> int:
        """One more attempt is written down: again after a clinical pause, or parked after the last."""
        kind, ref, key = candidate
        of = self._table.c
        async with self._engine.begin() as conn:
            await lock_keys(conn, self._service, [key])
            here = (of.kind == kind) & (of.ref == ref) & (of.state == "waiting") & (of.due_at <= now)
            attempts = (await conn.execute(select(of.attempts).where(here).with_for_update())).scalar()
            if attempts is None:
                return 0
            parked = attempts >= len(BACK_OFF)
            again = {"state": "parked"} if parked else {"due_at": now + BACK_OFF[attempts]}
            await conn.execute(update(self._table).where(here).values(attempts=attempts + 1, error=error, **again))
        self.counts.fires_parked += parked
        return 1


def _item(row: Row[tuple[object, ...]]) -> WorkItem:
    return WorkItem(row.kind, row.ref, row.key, row.clinic_id, row.due_at, row.data, row.attempts)


@dataclass(frozen=True)
class ParkedWork:
    """Due work that failed too often. `work_id` stands for (kind, ref) at the desk."""

    work_id: UUID
    kind: str
    key: UUID
    clinic_id: UUID
    due_at: datetime
    error: str
    attempts: int


async def parked_work(conn: AsyncConnection, service: str, clinic_id: UUID | None = None) -> list[ParkedWork]:
    """The due work that waits for a person, oldest first; of one clinic or of all."""
    table = tables_of(service).due_work
    query = select(table).where(table.c.state == "parked").order_by(table.c.due_at, table.c.kind, table.c.ref)
    if clinic_id is not None:
        query = query.where(table.c.clinic_id == clinic_id)
    return [
        ParkedWork(work_id(row.kind, row.ref), row.kind, row.key, row.clinic_id, row.due_at, row.error, row.attempts)
        for row in await conn.execute(query)
    ]


def work_id(kind: str, ref: str) -> UUID:
    """The id under which a piece of due work stands at the desk."""
    return stable_id("due-work", kind, ref)


async def replay_work(unit: Unit, wanted: UUID) -> None:
    """Makes parked work due now, its attempts forgotten. Raises DomainError (404)."""
    kind, ref = await _find_parked(unit, wanted)
    table = tables_of(unit.service).due_work
    here = tuple_(table.c.kind, table.c.ref) == (kind, ref)
    await unit.conn.execute(update(table).where(here).values(state="waiting", attempts=0, error=None, due_at=unit.now))
    unit.after_commit("ticker")


async def discard_work(unit: Unit, wanted: UUID) -> None:
    """Lets parked work go for good. Raises DomainError (404)."""
    kind, ref = await _find_parked(unit, wanted)
    table = tables_of(unit.service).due_work
    gone: CursorResult[tuple[object, ...]] = await unit.conn.execute(
        delete(table).where(table.c.kind == kind, table.c.ref == ref)
    )
    if not gone.rowcount:
        raise DomainError("event_id", "it has been decided already", status=409)


async def _find_parked(unit: Unit, wanted: UUID) -> tuple[str, str]:
    table = tables_of(unit.service).due_work
    rows = await unit.conn.execute(select(table.c.kind, table.c.ref, table.c.key).where(table.c.state == "parked"))
    for row in rows:
        if work_id(row.kind, row.ref) == wanted:
            await unit.lock(row.key)
            return row.kind, row.ref
    raise DomainError("event_id", "no due work is parked under this id", status=404)


__all__ = ["BATCH", "Fire", "Fires", "ParkedWork", "Ticker", "WorkItem", "discard_work", "parked_work", "replay_work"]
