"""What we ask Kafka about itself: its identity, the ends of topics, how far groups are, whether a topic is there.

Works on Kafka 4 and on librdkafka's mock cluster, which knows no CreateTopics and answers OffsetFetch only for named partitions
(measured, reference: architecture B.11).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, TopicAlreadyExistsError, for_code

_CLOSE_TIMEOUT = 1.5
#: Replicas of a topic: `default.replication.factor` of the cluster (KIP-464).
_THE_CLUSTERS_OWN = -1


@dataclass(frozen=True)
class Confirmed:
    """How far a group is on one partition: the next offset it reads, and the repair number it had met when it said so."""

    next_offset: int
    repair: int


class Cluster:
    """Questions to one Kafka cluster over connections of its own. Every method raises KafkaError or OSError when it is away."""

    def __init__(self, bootstrap: str, *, client_id: str, timeout: float = 5.0) -> None:
        options = {"bootstrap_servers": bootstrap, "client_id": client_id, "request_timeout_ms": int(timeout * 1000)}
        self._admin = AIOKafkaAdminClient(**options)
        self._reader = AIOKafkaConsumer(**options, enable_auto_commit=False)
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        await self._admin.start()
        await self._reader.start()

    async def stop(self) -> None:
        """Closes the connections; a broker that is gone does not hold us up."""
        for closing in (self._admin.close(), self._reader.stop()):
            try:
                await asyncio.wait_for(closing, _CLOSE_TIMEOUT)
            except (TimeoutError, KafkaError, OSError):
                continue  # it is gone either way, and nothing of ours was in flight on it

    async def incarnation(self) -> str:
        """The cluster id: another one is another log."""
        return str((await self._admin.describe_cluster())["cluster_id"])

    async def ensure_topics(self, topics: Iterable[str], partitions: int) -> None:
        """Makes topics that are missing: through CreateTopics, or by asking for them where the broker makes them when asked.

        In production they are there before we start (the `topics` step of compose); ours have as many replicas as the cluster
        gives a topic for which nobody says how many.
        """
        existing = set(await self._admin.list_topics())
        missing = [topic for topic in topics if topic not in existing]
        if not missing:
            return
        try:
            await self._create(missing, partitions)
        except (AttributeError, IncompatibleBrokerVersion):
            # The mock cluster has no controller (aiokafka trips over None) and no CreateTopics; metadata requests create.
            for topic in missing:
                await self.partitions_of(topic)

    async def _create(self, topics: list[str], partitions: int) -> None:
        # With an assignment of no replicas, for aiokafka takes -1 only beside one; on the wire it is the same as none.
        wanted = [NewTopic(topic, partitions, _THE_CLUSTERS_OWN, replica_assignments={}) for topic in topics]
        answer = await self._admin.create_topics(wanted)
        for error in answer.to_object()["topic_errors"]:
            if error["error_code"] and for_code(error["error_code"]) is not TopicAlreadyExistsError:
                raise for_code(error["error_code"])(error["topic"])

    async def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has."""
        if topic not in self._partitions:
            described = await self._admin.describe_topics([topic])
            found = len(described[0]["partitions"]) if described else 0
            if not found:
                raise KafkaError("the topic is not ready yet")
            self._partitions[topic] = found
        return self._partitions[topic]

    async def all_partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for topic in topics for n in range(await self.partitions_of(topic))]

    async def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """The offset that the next record of each partition will get."""
        return dict(await self._reader.end_offsets(await self.all_partitions(topics)))

    async def confirmed(self, group: str, topics: Iterable[str]) -> Mapping[TopicPartition, Confirmed]:
        """How far a consumer group has committed; partitions it never committed on are absent."""
        found = await self._admin.list_consumer_group_offsets(group, partitions=await self.all_partitions(topics))
        return {
            partition: Confirmed(said.offset, _number(said.metadata)) for partition, said in found.items() if said.offset >= 0
        }


def _number(metadata: str | None) -> int:
    """The repair number that our readers put beside their offsets; anything else is older than all."""
    return int(metadata) if metadata and metadata.isdigit() else 0
