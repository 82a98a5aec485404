"""How far every consumer group is, read through Kafka and kept in PostgreSQL; and forgetting what nobody can need again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import sql, typed_sql
from shared.events.registry import TOPICS
from shared.messaging import inbox
from shared.messaging.cluster import Cluster, Confirmed
from shared.messaging.knobs import Knobs
from shared.messaging.memory import Spans

#: By group, how far it is on each partition of our topics.
Progress = Mapping[str, Mapping[TopicPartition, Confirmed]]
_AT_A_TIME = 1000


def topics_of(service: str) -> tuple[str, ...]:
    """The topics that a service publishes."""
    return tuple(topic.name for topic in TOPICS.values() if topic.said_by == service)


def groups_of(service: str) -> dict[str, list[str]]:
    """By consumer group, the topics of this service that it hears."""
    found: dict[str, list[str]] = {}
    for name in topics_of(service):
        for group in TOPICS[name].groups:
            found.setdefault(group, []).append(name)
    return found


async def ask(cluster: Cluster, service: str) -> Progress:
    """How far the groups are now, as Kafka says."""
    return {group: await cluster.confirmed(group, topics) for group, topics in groups_of(service).items()}


def is_confirmed(spans: Spans, repair: int, progress: Progress) -> bool:
    """Whether every group of each topic has committed past all these records, having met this repair."""
    return all(
        _past(progress.get(group, {}).get(TopicPartition(topic, int(partition))), last, repair)
        for topic, partitions in spans.items()
        for partition, (_first, last) in partitions.items()
        for group in TOPICS[topic].groups
    )


def _past(confirmed: Confirmed | None, last: int, repair: int) -> bool:
    # An offset committed before the reader met the repair speaks of the log that is gone.
    return confirmed is not None and confirmed.next_offset > last and confirmed.repair >= repair


async def store(conn: AsyncConnection, service: str, progress: Progress) -> None:
    """Keeps the progress, and marks the chunks that all groups are past."""
    rows = [
        {"grp": group, "topic": at.topic, "partition": at.partition, "next": said.next_offset, "repair": said.repair}
        for group, partitions in sorted(progress.items())
        for at, said in sorted(partitions.items())
    ]
    if rows:
        await conn.execute(
            sql(
                service,
                "INSERT INTO ~group_confirmed (consumer_group, topic, partition, next_offset, repair) "
                "VALUES (:grp, :topic, :partition, :next, :repair) ON CONFLICT (consumer_group, topic, partition) "
                "DO UPDATE SET next_offset = excluded.next_offset, repair = excluded.repair",
            ),
            rows,
        )
    await _mark(conn, service, progress)


async def _mark(conn: AsyncConnection, service: str, progress: Progress) -> None:
    found = await conn.execute(
        typed_sql(
            service,
            "SELECT batch, repair, offsets FROM ~relay_batch WHERE NOT confirmed ORDER BY batch LIMIT :most",
            columns=(("offsets", JSONB),),
        ),
        {"most": _AT_A_TIME},
    )
    done = [row.batch for row in found if is_confirmed(row.offsets, row.repair, progress)]
    if done:
        await conn.execute(
            sql(service, "UPDATE ~relay_batch SET confirmed = true WHERE batch = ANY(:done)"),
            {"done": done},
        )


async def any_unconfirmed(conn: AsyncConnection, service: str) -> bool:
    found = await conn.execute(sql(service, "SELECT EXISTS (SELECT FROM ~relay_batch WHERE NOT confirmed)"))
    return bool(found.scalar_one())


async def prune(conn: AsyncConnection, service: str, knobs: Knobs) -> int:
    """Forgets published rows that all groups confirmed long ago, their chunks but the last, and old inbox rows; how many rows.

    The chunks forgotten are a prefix: a row goes only when everything published before it may go too.
    """
    edge = await _prunable_edge(conn, service, knobs)
    rows = 0
    if edge is not None:
        gone = await conn.execute(
            sql(
                service,
                "DELETE FROM ~outbox WHERE seq IN (SELECT seq FROM ~outbox "
                "WHERE txid < CAST(CAST(:edge AS text) AS xid8) ORDER BY txid, seq LIMIT :most)",
            ),
            {"edge": str(edge), "most": knobs.prune_batch},
        )
        rows = gone.rowcount
        if rows < knobs.prune_batch:
            await conn.execute(
                sql(
                    service, "DELETE FROM ~relay_batch WHERE window_hi <= :edge AND batch < (SELECT max(batch) FROM ~relay_batch)"
                ),
                {"edge": edge},
            )
    return rows + await inbox.prune(conn, service, knobs.keep_inbox, knobs.prune_batch)


async def _prunable_edge(conn: AsyncConnection, service: str, knobs: Knobs) -> int | None:
    """The transaction id below which all rows may go."""
    found = await conn.execute(
        sql(
            service,
            "SELECT max(window_hi) FROM ~relay_batch b WHERE complete AND confirmed "
            "AND published_machine < clock_timestamp() - CAST(:keep AS interval) AND window_hi <= coalesce(("
            "SELECT min(window_lo) FROM ~relay_batch WHERE NOT confirmed "
            "OR published_machine >= clock_timestamp() - CAST(:keep AS interval)), b.window_hi)",
        ),
        {"keep": knobs.keep_published},
    )
    value = found.scalar()
    return None if value is None else int(value)


def behind(progress: Progress, lasts: Mapping[str, Mapping[str, int]], groups: Iterable[str]) -> int:
    """How many records the slowest of the groups still has to confirm."""
    return max(
        (
            sum(
                max(0, last + 1 - (said.next_offset if said else 0))
                for topic, partitions in lasts.items()
                if group in TOPICS[topic].groups
                for partition, last in partitions.items()
                for said in (progress.get(group, {}).get(TopicPartition(topic, int(partition))),)
            )
            for group in groups
        ),
        default=0,
    )
