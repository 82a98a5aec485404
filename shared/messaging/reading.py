"""From a record to what the delivery works with. Never raises: what cannot be read arrives with its failure and is parked."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition

from shared.events.base import Envelope, Event, stable_id
from shared.messaging import codec
from shared.messaging.failures import class_of


@dataclass(frozen=True)
class Arrived:
    """One record, read as far as it can be. `failure` is the class of what was wrong with it."""

    record: ConsumerRecord[bytes, bytes]
    event_id: UUID
    key: UUID
    envelope: Envelope | None
    event: Event | None
    failure: str | None

    @property
    def at(self) -> TopicPartition:
        return TopicPartition(self.record.topic, self.record.partition)

    @property
    def is_marker(self) -> bool:
        return self.failure is None and self.event is None


def read(record: ConsumerRecord[bytes, bytes]) -> Arrived:
    """Reads a record."""
    envelope: Envelope | None = None
    event: Event | None = None
    failure: str | None = None
    try:
        envelope = codec.envelope_of(record.headers)
        if envelope.type != codec.MARKER_TYPE:
            event = codec.event_of(envelope.type, record.value)
    except codec.Unreadable as error:
        failure = class_of(error)
    event_id = envelope.id if envelope is not None else _id_of_unreadable(record)
    return Arrived(record, event_id, _key_of(record, event), envelope, event, failure)


def _id_of_unreadable(record: ConsumerRecord[bytes, bytes]) -> UUID:
    """The same record has the same id however often and at whatever offset it comes."""
    parts = (record.key, record.value, *(part for name, value in record.headers for part in (name.encode(), value)))
    digest = sha256(b"".join(len(part or b"").to_bytes(4, "big") + (part or b"") for part in parts)).hexdigest()
    return stable_id("unreadable", record.topic, digest)


def _key_of(record: ConsumerRecord[bytes, bytes], event: Event | None) -> UUID:
    """The patient (or clinic) whose order counts: the event's own, else the record's key, else one made of its bytes."""
    if event is not None:
        return event.key
    try:
        return UUID((record.key or b"").decode())
    except ValueError:
        return stable_id("unreadable-key", record.topic, sha256(record.key or b"").hexdigest())
