"""More partitions for every topic, only when it is safe (`python -m shared.messaging.partitions 12`).

With another number of partitions a patient's events go to another partition: what lies unread in the old one could be overtaken.
So nothing is changed unless every service is stopped (no group has a member) and every group has read to the end. Kafka cannot
make them fewer. docs/operations/partitions.md says how to get there; versions and ids keep the state right even without (rule 3).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import KafkaError

from shared.events.registry import SERVICES, TOPICS, group_of, topics_heard_by

_AT_MOST = 1000


async def main(argv: list[str]) -> int:
    """0 done or nothing to do; 1 refused, a line for each reason; 2 wrong usage."""
    bootstrap = os.environ.get("STEADYPATH_KAFKA_BOOTSTRAP", "")
    if len(argv) != 1 or not argv[0].isascii() or not argv[0].isdigit() or not 1 <= int(argv[0]) <= _AT_MOST or not bootstrap:
        sys.stderr.write(f"partitions: a whole number from 1 to {_AT_MOST} is needed, and STEADYPATH_KAFKA_BOOTSTRAP\n")
        return 2
    try:
        refusals, said = await _change(bootstrap, int(argv[0]))
    except (KafkaError, OSError) as error:
        refusals, said = [f"the broker at {bootstrap} does not answer ({type(error).__name__}); nothing was changed"], ""
    sys.stderr.writelines(f"partitions: {line}\n" for line in refusals)
    sys.stdout.write(f"partitions: {said}\n" if said else "")
    return 1 if refusals else 0


async def _change(bootstrap: str, wanted: int) -> tuple[list[str], str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="steadypath.partitions", request_timeout_ms=20_000)
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, client_id="steadypath.partitions", enable_auto_commit=False)
    await admin.start()
    try:
        await reader.start()
        counts = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(list(TOPICS))}
        refusals = [*_shrinking(counts, wanted), *await _members(admin), *await _unread(admin, reader, counts)]
        grow = {name: NewPartitions(wanted) for name, count in counts.items() if count < wanted}
        if refusals or not grow:
            return refusals, "" if refusals else f"every topic has {wanted}"
        await admin.create_partitions(grow)
        return [], f"{', '.join(sorted(grow))} now have {wanted}: set STEADYPATH_TOPIC_PARTITIONS={wanted} before anything starts"
    finally:
        await reader.stop()
        await admin.close()


def _shrinking(counts: Mapping[str, int], wanted: int) -> list[str]:
    return [f"{name} has {count}: Kafka cannot make them fewer" for name, count in counts.items() if count > wanted]


async def _members(admin: AIOKafkaAdminClient) -> list[str]:
    """Services that still run."""
    found = []
    for service in SERVICES:
        for answer in await admin.describe_consumer_groups([group_of(service)]):
            count = sum(len(_field(group, "members", 5)) for group in answer.groups)
            found += [f"{service} still runs ({count} in its group): stop every service first"] if count else []
    return found


def _field(group: Any, name: str, place: int) -> Any:
    """The library's answers are tuples in some versions of the protocol and objects in others."""
    return getattr(group, name) if hasattr(group, name) else group[place]


async def _unread(admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer, counts: Mapping[str, int]) -> list[str]:
    """Groups that have not read to the end."""
    found = []
    for service in SERVICES:
        places = [TopicPartition(topic, n) for topic in topics_heard_by(service) for n in range(counts.get(topic, 0))]
        ends, begins = await reader.end_offsets(places), await reader.beginning_offsets(places)
        said = await admin.list_consumer_group_offsets(group_of(service), partitions=places)
        behind = sum(end - max(said[at].offset if at in said else 0, begins[at]) for at, end in ends.items())
        found += (
            [f"{service} has {behind} records unread: start everything, wait until it has none, stop again"] if behind else []
        )
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
