"""A Kafka broker for one machine: librdkafka's in-memory cluster, which speaks the Kafka protocol on loopback.

`python -m shared.embedded.kafka` prints one JSON line, `{"bootstrap": "127.0.0.1:PORT"}`, and serves until it is told to end. It
keeps nothing: a new process is a new, empty cluster on a new port, and the relay repairs from PostgreSQL (DESIGN.md 3). Its
limits: topics make themselves with 4 partitions, one member per group, no CreateTopics (architecture notes, B.11).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from threading import Event

import confluent_kafka


def describe() -> str:
    """Name and version, as `make test` says them at its top."""
    return f"librdkafka {confluent_kafka.libversion()[0]} in-memory cluster (Kafka protocol, from the wheel confluent-kafka)"


def open_cluster() -> tuple[confluent_kafka.Producer, str]:
    """A running cluster and its address. It lives as long as the returned object: keep it."""
    keeper = confluent_kafka.Producer({"bootstrap.servers": "", "test.mock.num.brokers": 1, "log_level": 3})
    broker = next(iter(keeper.list_topics(timeout=10).brokers.values()))
    return keeper, f"{broker.host}:{broker.port}"


def main() -> int:
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    _keeper, bootstrap = open_cluster()
    sys.stdout.write(json.dumps({"bootstrap": bootstrap}) + "\n")
    sys.stdout.flush()
    ended.wait()
    os._exit(0)  # destroying the cluster waits for its clients; they are told by the closed sockets


if __name__ == "__main__":
    sys.exit(main())
