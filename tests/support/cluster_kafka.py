"""What the proofs ask a broker and do to it, through librdkafka: not the client library that the product uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from shared.events.registry import SERVICES, TOPICS, group_of, topics_heard_by
from tests.support.waiting import wait_until

_PATIENCE = 10.0


class Kafka:
    """Questions and deeds, each over a connection of its own: the broker may be another one than a moment ago."""

    def __init__(self, bootstrap: str) -> None:
        self._where: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, "log_level": 0}
        # Kept: an answer that is still on its way when its client is gone never comes.
        self._admin = AdminClient(self._where)

    def cluster_id(self) -> str:
        return str(self._admin.list_topics(timeout=_PATIENCE).cluster_id)

    def partitions(self, topics: Iterable[str] = tuple(TOPICS)) -> list[tuple[str, int]]:
        """Every partition that there is of these topics."""
        known = self._admin.list_topics(timeout=_PATIENCE).topics
        return [(name, number) for name in topics if name in known for number in known[name].partitions]

    def lag(self, service: str) -> int:
        """How many records the service's group has not committed past. Raises KafkaException where the broker is away."""
        consumer = Consumer({**self._where, "group.id": group_of(service), "enable.auto.commit": False})
        try:
            asked = [TopicPartition(*at) for at in self.partitions(topics_heard_by(service))]
            behind = 0
            for said in consumer.committed(asked, timeout=_PATIENCE):
                low, high = consumer.get_watermark_offsets(said, timeout=_PATIENCE)
                behind += high - max(said.offset, low)
            return behind
        finally:
            consumer.close()

    def caught_up(self) -> bool:
        """Whether every group has committed everything that there is."""
        try:
            return len({topic for topic, _ in self.partitions()}) == len(TOPICS) and all(self.lag(each) == 0 for each in SERVICES)
        except KafkaException:
            return False

    def members(self, service: str) -> dict[str, int]:
        """The group's members as the broker sees them: id -> how many partitions each has."""
        [described] = self._admin.describe_consumer_groups([group_of(service)], request_timeout=_PATIENCE).values()
        return {member.member_id: len(member.assignment.topic_partitions) for member in described.result(2 * _PATIENCE).members}

    def rewind(self, service: str) -> None:
        """The group's committed offsets become the start of every partition, as an operator's `--reset-offsets --to-earliest`.
        The group must have no member."""
        from confluent_kafka import ConsumerGroupTopicPartitions  # noqa: PLC0415 - one use

        to = [TopicPartition(topic, number, 0) for topic, number in self.partitions(topics_heard_by(service))]
        wait_until(lambda: not self.members(service), within=30, what=f"the group of {service} has no member any more")
        asked = self._admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group_of(service), to)])
        for each in asked.values():
            each.result(2 * _PATIENCE)

    def forget_group(self, service: str) -> None:
        """The group and its offsets are gone."""
        wait_until(lambda: not self.members(service), within=30, what=f"the group of {service} has no member any more")
        for each in self._admin.delete_consumer_groups([group_of(service)]).values():
            each.result(2 * _PATIENCE)

    def drop_topics(self, *topics: str) -> None:
        """Deleted while everything runs; returns once the broker does not know them."""
        for each in self._admin.delete_topics(list(topics)).values():
            each.result(2 * _PATIENCE)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Everything in a partition below an offset is gone."""
        for each in self._admin.delete_records([TopicPartition(topic, partition, before)]).values():
            each.result(2 * _PATIENCE)

    def end(self, topic: str, partition: int) -> int:
        consumer = Consumer({**self._where, "group.id": "steadypath.proofs", "enable.auto.commit": False})
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_PATIENCE)[1])
        finally:
            consumer.close()

    def say(self, topic: str, key: str, body: bytes, headers: Mapping[str, Any]) -> tuple[int, int]:
        """Puts a record of ours among the product's, as a foreign or broken producer would; its partition and offset."""
        told: list[tuple[int, int]] = []
        # The product's clients hash keys as the Java client does.
        producer = Producer({**self._where, "partitioner": "murmur2_random"})
        producer.produce(
            topic, body, key.encode(), headers=dict(headers), on_delivery=lambda error, said: told.append(_placed(error, said))
        )
        producer.flush(_PATIENCE)
        assert told, "the broker did not take the record"
        return told[0]


def _placed(error: object, record: Any) -> tuple[int, int]:
    assert error is None, error
    return record.partition(), record.offset()
