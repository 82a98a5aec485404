"""A Kafka broker for one machine: librdkafka's in-memory cluster, which speaks the Kafka protocol on loopback.

`python -m shared.embedded.kafka` prints one JSON line, `{"bootstrap": "127.0.0.1:PORT"}`, and serves until it is told to end. It
keeps nothing: a new process is a new, empty cluster on a new port, and the relay repairs from PostgreSQL (DESIGN.md 3). Its
limits: topics make themselves with 4 partitions, one member per group, no CreateTopics (architecture notes, B.11).
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from ctypes import c_char_p, c_int, c_size_t, c_void_p, create_string_buffer
from pathlib import Path
from threading import Event

import confluent_kafka

_PRODUCER = 0
_GROUP_DELAY_MS = 10
_PLACES = ("confluent_kafka.libs/librdkafka*", "confluent_kafka/.dylibs/librdkafka*")


def describe() -> str:
    """Name and version, as `make test` says them at its top."""
    return f"librdkafka {confluent_kafka.libversion()[0]} in-memory cluster (Kafka protocol, from the wheel confluent-kafka)"


def open_cluster() -> tuple[object, str]:
    """A running cluster and its address. It lives as long as the returned object: keep it."""
    library = _library()
    if library is None:
        return _as_python_makes_it()
    settings = c_void_p(library.rd_kafka_conf_new())
    said = create_string_buffer(512)
    library.rd_kafka_conf_set(settings, b"log_level", b"3", said, len(said))
    client = c_void_p(library.rd_kafka_new(_PRODUCER, settings, said, len(said)))
    if not client:
        raise RuntimeError(said.value.decode())
    cluster = c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, _GROUP_DELAY_MS)
    address: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return (library, client, cluster), address.decode()


def _library() -> ctypes.CDLL | None:
    """The wheel's own librdkafka, whose public functions (rdkafka_mock.h) can do what its Python part cannot: a new group of ours
    has one member, and need not wait three seconds for others at every start. None where the wheel is built in another way."""
    packages = Path(confluent_kafka.__file__).parents[1]
    found = next((path for pattern in _PLACES for path in packages.glob(pattern)), None)
    library = None if found is None else ctypes.CDLL(str(found))
    if library is None or not hasattr(library, "rd_kafka_mock_group_initial_rebalance_delay_ms"):
        return None
    for function in (library.rd_kafka_conf_new, library.rd_kafka_new, library.rd_kafka_mock_cluster_new):
        function.restype = c_void_p
    library.rd_kafka_new.argtypes = (c_int, c_void_p, c_char_p, c_size_t)
    library.rd_kafka_conf_set.argtypes = (c_void_p, c_char_p, c_char_p, c_char_p, c_size_t)
    library.rd_kafka_mock_cluster_bootstraps.restype = c_char_p
    return library


def _as_python_makes_it() -> tuple[object, str]:
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
