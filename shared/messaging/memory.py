"""The relay's memory: who leads, what has been published, where it went. Every change is conditional on the own epoch, so that a
leader that was frozen and replaced can no longer move it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Executable, Row
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.db import reader, typed_sql
from shared.errors import SteadypathError
from shared.messaging.knobs import Knobs
from shared.messaging.memory_sql import NEXT_CHUNK, REMEMBER, STANDING

#: {topic: {partition as text: offset}}, the form it has in jsonb.
Offsets = dict[str, dict[str, int]]
Spans = dict[str, dict[str, list[int]]]


_LASTS = ("lasts", JSONB)
_HEADERS = ("headers", JSONB)
_CHUNKS_A_WINDOW = 8
#: More transactions than can begin while one runs (30 s at most): further above there is nobody to cross with.
_TRANSACTION_SPAN = 1_000_000


class LeaseLost(SteadypathError):
    """Another relay leads now. What this one was doing changes nothing any more."""


@dataclass(frozen=True)
class Position:
    """Where publishing goes on: rows with txid in [lo, hi) after `last_seq`; `hi` None = a new window from `lo` on."""

    lo: int
    hi: int | None
    last_seq: int


@dataclass(frozen=True)
class Lease:
    """The state of leadership and of the broker as last remembered."""

    epoch: int
    repair: int
    repair_from: int | None
    incarnation: str | None
    lasts: Offsets


@dataclass(frozen=True)
class OutRow:
    """One event to publish."""

    seq: int
    topic: str
    key: UUID
    headers: dict[str, str]
    body: bytes


@dataclass
class Chunk:
    """What one publishing did: the rows' window, and the offsets they went to."""

    position: Position
    hi: int
    last_seq: int
    complete: bool
    rows: int
    spans: Spans = field(default_factory=dict)


@dataclass(frozen=True)
class Next:
    """What is to be published next: under which lease, in which window (up to `hi`), which rows."""

    lease: Lease
    position: Position
    hi: int
    rows: list[OutRow]


class Memory:
    """The tables relay_lease and relay_batch (and reading of the outbox) of one service, seen by one relay."""

    def __init__(self, engine: AsyncEngine, service: str, holder: UUID, knobs: Knobs) -> None:
        self.engine = engine
        self._reader = reader(engine)
        self._service = service
        self._holder = holder
        self._knobs = knobs

    def _sql(self, statement: str, *columns: tuple[str, Any], binds: tuple[tuple[str, Any], ...] = ()) -> Executable:
        return typed_sql(self._service, statement, columns=columns, binds=binds)

    async def take_lease(self) -> Lease | None:
        """Leadership under a new epoch where nobody has it or its holder has been silent too long; else None."""
        async with self.engine.begin() as conn:
            await conn.execute(self._sql("INSERT INTO ~relay_lease (one) VALUES (true) ON CONFLICT DO NOTHING"))
            taken = await conn.execute(
                self._sql(
                    "UPDATE ~relay_lease SET epoch = epoch + 1, holder = :me, "
                    "lease_until_machine = clock_timestamp() + CAST(:ttl AS interval) "
                    "WHERE holder IS NULL OR lease_until_machine < clock_timestamp() "
                    "RETURNING epoch, repair, repair_from, incarnation, lasts",
                    _LASTS,
                ),
                {"me": self._holder, "ttl": self._knobs.lease},
            )
            row = taken.first()
        return None if row is None else _lease(row)

    async def hold(self, conn: AsyncConnection, epoch: int) -> Lease:
        """Renews the lease and locks its row to the end of the transaction. Raises LeaseLost."""
        held = await conn.execute(
            self._sql(
                "UPDATE ~relay_lease SET lease_until_machine = clock_timestamp() + CAST(:ttl AS interval) "
                "WHERE epoch = :epoch AND holder = :me "
                "RETURNING epoch, repair, repair_from, incarnation, lasts",
                _LASTS,
            ),
            {"me": self._holder, "epoch": epoch, "ttl": self._knobs.lease},
        )
        row = held.first()
        if row is None:
            raise LeaseLost("another relay leads")
        return _lease(row)

    async def give_up_lease(self, epoch: int) -> None:
        """Lets another take over at once. Nothing happens where it already has."""
        async with self.engine.begin() as conn:
            await conn.execute(
                self._sql(
                    "UPDATE ~relay_lease SET holder = NULL, lease_until_machine = NULL WHERE epoch = :epoch AND holder = :me"
                ),
                {"me": self._holder, "epoch": epoch},
            )

    async def position(self, conn: AsyncConnection, lease: Lease) -> Position:
        """Where publishing goes on: after the last chunk of the current repair, else from where that repair begins."""
        found = await conn.execute(
            self._sql(
                "SELECT window_lo, window_hi, last_seq, complete FROM ~relay_batch WHERE repair = :repair "
                "ORDER BY batch DESC LIMIT 1"
            ),
            {"repair": lease.repair},
        )
        row = found.first()
        if row is None:
            return Position(lease.repair_from or 0, None, 0)
        return Position(row.window_hi, None, 0) if row.complete else Position(row.window_lo, row.window_hi, row.last_seq)

    async def next_chunk(self, epoch: int) -> Next:
        """Renews the lease and reads what is to be published next, of transactions that are surely over. Raises LeaseLost."""
        values = {"me": self._holder, "epoch": epoch, "ttl": self._knobs.lease, "far": _TRANSACTION_SPAN}
        sizes = {"most": self._knobs.chunk * _CHUNKS_A_WINDOW, "chunk": self._knobs.chunk}
        async with self._reader.connect() as conn:
            found = (await conn.execute(self._sql(NEXT_CHUNK, _LASTS, _HEADERS), values | sizes)).all()
        if not found:
            raise LeaseLost("another relay leads")
        at = found[0]
        position = Position(at.lo, at.begun, at.after)
        if at.ready:
            hi = at.edge if at.begun is None else at.begun
            return Next(_lease(at), position, hi, [_out_row(row) for row in found if row.seq is not None])
        async with self.engine.begin() as conn:
            hi = await self._window_end(conn, position.lo)
            return Next(_lease(at), position, hi, await self._rows(conn, position.lo, hi))

    async def _rows(self, conn: AsyncConnection, lo: int, hi: int) -> list[OutRow]:
        """The first rows of a window, in the order of seq."""
        rows = await conn.execute(
            self._sql(
                "WITH span AS MATERIALIZED (SELECT seq FROM ~outbox WHERE txid >= CAST(CAST(:lo AS text) AS xid8) "
                "AND txid < CAST(CAST(:hi AS text) AS xid8) ORDER BY txid, seq) "
                "SELECT seq, topic, key, headers, body FROM ~outbox JOIN span USING (seq) ORDER BY seq LIMIT :chunk",
                _HEADERS,
            ),
            {"lo": str(lo), "hi": str(hi), "chunk": self._knobs.chunk},
        )
        return [_out_row(row) for row in rows]

    async def _window_end(self, conn: AsyncConnection, lo: int) -> int:
        """Below the oldest transaction still running (whoever commits later has a higher id), and a bounded number of rows."""
        edge_now = self._sql("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")
        edge = int((await conn.execute(edge_now)).scalar_one())
        # A transaction that wrote something before it took its patient locks may have a lower id than one whose events of the
        # same key come first: it waits until both are below the edge.
        while (crossing := await self._crossing(conn, lo, edge, "min(o.txid)")) is not None:
            edge = crossing
        capped = await conn.execute(
            self._sql(
                "SELECT CAST(CAST(txid AS text) AS bigint) + 1 FROM ~outbox WHERE txid >= CAST(CAST(:lo AS text) AS xid8) "
                "AND txid < CAST(CAST(:hi AS text) AS xid8) ORDER BY txid, seq OFFSET :most LIMIT 1"
            ),
            {"lo": str(lo), "hi": str(edge), "most": self._knobs.chunk * _CHUNKS_A_WINDOW},
        )
        hi = int(capped.scalar() or edge)
        # Where the window ends for its size alone, it takes in what would have to come first instead.
        while hi < edge and (crossing := await self._crossing(conn, lo, hi, "max(p.txid)")) is not None:
            hi = crossing + 1
        return min(hi, edge)

    async def _crossing(self, conn: AsyncConnection, lo: int, hi: int, which: str) -> int | None:
        """A transaction of a pair (o below `hi`, p above) whose events of one key belong in the order p, o."""
        found = await conn.execute(
            self._sql(
                "SELECT CAST(CAST(<which> AS text) AS bigint) FROM ~outbox p JOIN ~outbox o ON o.key = p.key AND o.seq > p.seq "
                "WHERE p.txid >= CAST(CAST(:hi AS text) AS xid8) AND p.txid < CAST(CAST(:far AS text) AS xid8) "
                "AND o.txid >= CAST(CAST(:lo AS text) AS xid8) AND o.txid < CAST(CAST(:hi AS text) AS xid8)".replace(
                    "<which>", which
                )
            ),
            {"lo": str(lo), "hi": str(hi), "far": str(hi + _TRANSACTION_SPAN)},
        )
        value = found.scalar()
        return None if value is None else int(value)

    async def remember(self, lease: Lease, chunk: Chunk, conn: AsyncConnection | None = None) -> Lease:
        """Writes the one row of a published chunk and moves the last offsets; in the caller's transaction, or by itself.
        Raises LeaseLost."""
        if conn is None:
            async with self._reader.connect() as own:
                return await self.remember(lease, chunk, own)
        lasts = merged(lease.lasts, chunk.spans)
        written = await conn.execute(
            self._sql(REMEMBER, binds=(_LASTS, ("spans", JSONB))),
            {
                "me": self._holder,
                "epoch": lease.epoch,
                "ttl": self._knobs.lease,
                "lasts": lasts,
                "repair": lease.repair,
                "lo": chunk.position.lo,
                "hi": chunk.hi,
                "last_seq": chunk.last_seq,
                "complete": chunk.complete,
                "spans": chunk.spans,
                "rows": chunk.rows,
            },
        )
        if not cast("CursorResult[Any]", written).rowcount:
            raise LeaseLost("another relay leads")
        return replace(lease, lasts=lasts)

    async def unsent(self, conn: AsyncConnection) -> int:
        """How many events wait to be published, those of a repair under way included (and its markers, as one more)."""
        row = (await conn.execute(self._sql(STANDING, _LASTS))).one()
        return int(row.waiting) + (row.repair_from is not None)


def _out_row(row: Row[Any]) -> OutRow:
    return OutRow(row.seq, row.topic, row.key, row.headers, row.body)


def _lease(row: Row[Any]) -> Lease:
    return Lease(row.epoch, row.repair, row.repair_from, row.incarnation, row.lasts)


def merged(lasts: Offsets, spans: Spans) -> Offsets:
    """The last offsets after a chunk went out."""
    result = {topic: dict(partitions) for topic, partitions in lasts.items()}
    for topic, partitions in spans.items():
        for partition, (_first, last) in partitions.items():
            result.setdefault(topic, {})[partition] = last
    return result
