"""Searches all that a run has written, except the phones: Kafka's bytes, the database files and server log, the services' logs,
the metrics, and the addresses that the provider was called with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from shared.events.registry import TOPICS
from tests.simulation.canary import Leak, search, search_files
from tests.simulation.clinic import Clinic


def leaks_of_run(clinic: Clinic, kafka: str, data: Path) -> list[Leak]:
    """Every place where a canary stands that should not."""
    needles = clinic.canaries.needles()
    leaks = search_files(data, needles, leave_out=("phone.sqlite",))
    for place, record in records(kafka):
        leaks += search(place, record, needles)
    for service in ("scheduler", "notifier", "adherence"):
        leaks += search(f"{service} metrics", metrics(clinic, service), needles)
    for line in clinic.http.get("/phone/ledger").text.splitlines():
        leaks += search_addresses(line, needles)
    return leaks


def metrics(clinic: Clinic, service: str) -> bytes:
    answer = clinic.http.get(f"/{service}/metrics")
    assert answer.is_success, f"{service} shows no metrics: {answer.status_code}"
    return answer.content


def records(kafka: str) -> list[tuple[str, bytes]]:
    """(where, key + headers + value) of every record of every topic of the registry."""
    settings: dict[str, Any] = {"group.id": "canary-search", "enable.auto.commit": False, "fetch.wait.max.ms": 10}
    consumer = Consumer({"bootstrap.servers": kafka} | settings)
    found: list[tuple[str, bytes]] = []
    try:
        places = [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in TOPICS
            for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        ends = [consumer.get_watermark_offsets(place, timeout=10) for place in places]
        consumer.assign(places)
        for _ in range(sum(high - low for low, high in ends)):
            record = consumer.poll(10)
            assert record is not None, "Kafka ended before its end offsets"
            assert record.error() is None, record.error()
            found.append((f"Kafka {record.topic()}:{record.partition()}", bytes_of(record)))
    finally:
        consumer.close()
    return found


def bytes_of(record: Message) -> bytes:
    """Key, headers and value, one after the other."""
    headers: Any = record.headers() or ()
    parts = [record.key(), *(value for _, value in headers), record.value()]
    return b" ".join(part.encode() if isinstance(part, str) else part or b"" for part in parts)


def search_addresses(line: str, needles: dict[bytes, str]) -> list[Leak]:
    """An address in the simulator's ledger (callback and webhook URLs) may hold no canary; bodies and numbers may."""
    addresses = [part for part in line.replace('"', " ").split() if part.startswith(("http://", "https://"))]
    return [leak for address in addresses for leak in search("an address", httpx.URL(address).raw_path, needles)]
