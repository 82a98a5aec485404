"""Kafka may forget everything (DESIGN.md 3): noticing that it did, and publishing again what not every group has confirmed.

Noticed by another cluster id, by a partition's end that is not above our own last record there, or by an acknowledged offset that
is not. A repair gets the next number, which every record then bears; it publishes again, in order, from the first transaction
that is not wholly confirmed, and closes with one marker in every partition, so that a reader learns of it where no row went.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiokafka import TopicPartition
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.expression import bindparam

from shared.db import sql
from shared.messaging.memory import Lease, Offsets, Spans


def forgot(lease: Lease, incarnation: str, ends: Mapping[TopicPartition, int]) -> bool:
    """Whether the broker is not the one that holds what we published."""
    if lease.incarnation is None:
        return False
    return incarnation != lease.incarnation or any(
        ends.get(TopicPartition(topic, int(partition)), 0) <= last
        for topic, partitions in lease.lasts.items()
        for partition, last in partitions.items()
    )


def went_back(lasts: Offsets, spans: Spans) -> bool:
    """Whether a record was acknowledged at an offset where we had already put another."""
    return any(
        first <= lasts.get(topic, {}).get(partition, -1)
        for topic, partitions in spans.items()
        for partition, (first, _last) in partitions.items()
    )


async def begin(conn: AsyncConnection, service: str, lease: Lease, incarnation: str) -> Lease:
    """Starts a repair. The caller holds the lease in this transaction; nothing has been published under the new number yet."""
    found = await conn.execute(
        sql(
            service,
            "SELECT min(window_lo) FILTER (WHERE NOT confirmed) AS first_open, max(window_hi) AS beyond FROM ~relay_batch",
        )
    )
    row = found.one()
    first_open = row.first_open if row.first_open is not None else (row.beyond or 0)
    # An earlier repair that has not published anything yet began lower: its start stands.
    start = first_open if lease.repair_from is None else min(first_open, lease.repair_from)
    # Where those rows went is not true any more; what groups had confirmed stays true, they have had its effect.
    await conn.execute(sql(service, "DELETE FROM ~relay_batch WHERE NOT confirmed"))
    statement = sql(
        service, "UPDATE ~relay_lease SET repair = repair + 1, repair_from = :start, incarnation = :incarnation, lasts = :nothing"
    ).bindparams(bindparam("nothing", type_=JSONB))
    await conn.execute(statement, {"start": start, "incarnation": incarnation, "nothing": {}})
    return Lease(lease.epoch, lease.repair + 1, start, incarnation, {})


async def adopt(conn: AsyncConnection, service: str, lease: Lease, incarnation: str) -> Lease:
    """The first broker we ever publish to: nothing to repair."""
    await conn.execute(sql(service, "UPDATE ~relay_lease SET incarnation = :it"), {"it": incarnation})
    return Lease(lease.epoch, lease.repair, lease.repair_from, incarnation, lease.lasts)


async def finish(conn: AsyncConnection, service: str, lease: Lease) -> Lease:
    """All rows and the markers are out."""
    await conn.execute(sql(service, "UPDATE ~relay_lease SET repair_from = NULL"))
    return Lease(lease.epoch, lease.repair, None, lease.incarnation, lease.lasts)
