"""The two FastStream brokers of a service: one that publishes, one that consumes. Every setting that FastStream 0.7 or aiokafka
has the wrong default for stands here, with why.

They are apart so that a producer which must be made anew (an idempotent one that lost its sequence) never disturbs the consumer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.abc import ConsumerRebalanceListener
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.subscriber.usecase import BatchSubscriber

from shared.events.registry import group_of, topics_heard_by
from shared.messaging.knobs import Knobs

Record: TypeAlias = ConsumerRecord[bytes, bytes]
Records: TypeAlias = tuple[Record, ...]

#: So long (machine milliseconds) one wait for records lasts; it ends at the first, or when the consumer is stopped.
_FIRST_WAIT_MS = 1_000
#: Where some are there and others are known to be on their way, so long for those.
_MORE_WAIT_MS = 50


def addresses(bootstrap: str) -> list[str]:
    """`host:port,host:port` as FastStream needs it: to it a text is one address, commas and all, which nothing answers."""
    return [address.strip() for address in bootstrap.split(",")]


def publishing_broker(bootstrap: str, service: str, knobs: Knobs) -> KafkaBroker:
    """A broker whose producer is idempotent (acks=all) and sends what it is given: bytes, keys, headers."""
    return KafkaBroker(
        addresses(bootstrap),
        client_id=f"steadypath.{service}.relay",
        enable_idempotence=True,
        request_timeout_ms=int(knobs.publish_timeout * 1000),
        linger_ms=0,
        # logger=None: FastStream's own log lines quote messages and errors, which may hold health data.
        logger=None,
        apply_types=False,
        graceful_timeout=knobs.graceful,
    )


async def _parse(records: Records) -> KafkaMessage:
    """Takes the records as they are. FastStream's own parser decodes every header as UTF-8, and a record that fails it is passed
    over by the next commit (0.7.8, measured): so nothing that can fail may happen before our own delivery."""
    return KafkaMessage(body=b"", headers={}, raw_message=records, consumer=_NO_CONSUMER)


async def _decode(message: KafkaMessage) -> Any:
    return message.raw_message


class _NoConsumer:
    """FastStream could acknowledge through the message; it gets nothing to do that with. We commit explicit offsets ourselves."""

    async def commit(self) -> None:
        raise RuntimeError("only explicit offsets are committed")

    def seek(self, partition: Any, offset: int) -> None:
        raise RuntimeError("only the delivery seeks")


_NO_CONSUMER = _NoConsumer()


class _Taking:
    """How records are taken: in place of FastStream's own way, which looks every few milliseconds, and after each look that found
    nothing sleeps as long once more."""

    def __init__(self, at_most: int, whole: Callable[[Records], bool]) -> None:
        self._at_most = at_most
        self._whole = whole
        #: A call began and did not end: the consumer may stand behind records that nobody has got.
        self._astray = False

    async def __call__(self, consumer: AIOKafkaConsumer) -> Records:
        """Waits for records; none where none came for a while. Raises what aiokafka raises, for example KafkaError where one
        partition cannot be read: what others had given by then is taken again with the next call."""
        if self._astray:
            await _back_to_the_group(consumer)
        self._astray = True
        found = await _some(consumer, _FIRST_WAIT_MS, self._at_most)
        while found and len(found) < self._at_most and not self._whole(found):
            more = await _some(consumer, _MORE_WAIT_MS, self._at_most - len(found))
            if not more:
                break
            found += more
        self._astray = False
        return found


async def _some(consumer: AIOKafkaConsumer, within_ms: int, at_most: int) -> Records:
    by_partition = await consumer.getmany(timeout_ms=within_ms, max_records=at_most)
    return tuple(chain.from_iterable(by_partition.values()))


async def _back_to_the_group(consumer: AIOKafkaConsumer) -> None:
    """Reads on from where the group has committed. What was handled and not committed comes again: to the inbox a no-op."""
    if not consumer.assignment():
        return
    committed = await consumer.seek_to_committed()
    if never := [at for at, offset in committed.items() if not offset]:
        await consumer.seek_to_beginning(*never)


def consuming_broker(
    bootstrap: str,
    service: str,
    knobs: Knobs,
    deliver: Callable[[Records], Awaitable[None]],
    listener: ConsumerRebalanceListener,
    *,
    whole: Callable[[Records], bool],
) -> tuple[KafkaBroker, BatchSubscriber]:
    """A broker with the service's one subscriber: all topics it hears, in batches, under its one consumer group. `whole` says
    whether what has come in is all that is known to be on its way: then, or soon after, it goes to `deliver`."""
    broker = KafkaBroker(
        addresses(bootstrap),
        client_id=f"steadypath.{service}",
        # Topics are made before (cluster.ensure_topics), not by FastStream, which asks for one partition.
        consumer_only=True,
        allow_auto_create_topics=False,
        logger=None,
        apply_types=False,
        graceful_timeout=knobs.graceful,
        metadata_max_age_ms=30_000,
    )
    subscriber = broker.subscriber(
        *topics_heard_by(service),
        batch=True,
        group_id=group_of(service),
        # The default, ACK_FIRST, commits before the handler has run.
        ack_policy=AckPolicy.MANUAL,
        # The default, latest, would miss everything said before a group's first start.
        auto_offset_reset="earliest",
        max_records=knobs.batch,
        fetch_max_wait_ms=knobs.fetch_wait_ms,
        # A member that was killed holds its partitions for so long; the default of 10 s is most of our 15 s to be back at work.
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_500,
        listener=listener,
        parser=_parse,
        decoder=_decode,
        title=group_of(service),
    )
    subscriber(deliver)
    subscriber.get_msg = _Taking(knobs.batch, whole)  # type: ignore[method-assign]  # there is no setting for it
    return broker, subscriber
