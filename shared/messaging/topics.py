"""Makes the registry's topics before all else (`python -m shared.messaging.topics`): partitions, replication, retention.

In production nobody may create a topic by asking for it (auto-creation is off): a topic made by a service would have one replica.
What exists already stays as it is; one with another number of partitions is said, and fails.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.events.registry import TOPICS

#: Kafka is a doorbell, PostgreSQL the truth: a week is more than any outage that a reader survives by reading on.
RETENTION_MS = 7 * 24 * 3600 * 1000
_ATTEMPTS = 30


@dataclass(frozen=True)
class Wanted:
    """How every topic shall be. `in_sync` replicas must have a record before it counts as written."""

    partitions: int
    replication: int
    in_sync: int

    @classmethod
    def from_env(cls) -> Wanted:
        partitions = _number("STEADYPATH_TOPIC_PARTITIONS", 6)
        replication = _number("STEADYPATH_TOPIC_REPLICATION", 1)
        return cls(partitions, replication, in_sync=2 if replication >= 3 else 1)

    def topic(self, name: str) -> NewTopic:
        configs = {
            "retention.ms": str(RETENTION_MS),
            "min.insync.replicas": str(self.in_sync),
            "unclean.leader.election.enable": "false",
            "cleanup.policy": "delete",
        }
        return NewTopic(name, num_partitions=self.partitions, replication_factor=self.replication, topic_configs=configs)


def _number(variable: str, default: int) -> int:
    raw = os.environ.get(variable) or str(default)
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 1000:
        raise SystemExit(f"{variable}: a whole number from 1 to 1000 is accepted")
    return int(raw)


async def make_topics(bootstrap: str, wanted: Wanted) -> list[str]:
    """Creates what is missing; returns its names. Raises KafkaError when the broker refuses, ValueError when a topic differs."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="steadypath.topics", request_timeout_ms=10_000)
    await admin.start()
    try:
        existing = {topic["topic"]: topic for topic in await admin.describe_topics(None) if topic["topic"] in TOPICS}
        for name, topic in existing.items():
            if len(topic["partitions"]) != wanted.partitions:
                raise ValueError(
                    f"{name} has {len(topic['partitions'])} partitions, not {wanted.partitions}: docs/operations/partitions.md"
                )
        missing = [name for name in TOPICS if name not in existing]
        if missing:
            answer = await admin.create_topics([wanted.topic(name) for name in missing])
            for error in answer.to_object()["topic_errors"]:
                if error["error_code"] and for_code(error["error_code"]) is not TopicAlreadyExistsError:
                    raise for_code(error["error_code"])(error["topic"])
        return missing
    finally:
        await admin.close()


async def main() -> int:
    """Waits for the broker at most a minute; exit 1 with one line when it cannot be done."""
    bootstrap, wanted = os.environ.get("STEADYPATH_KAFKA_BOOTSTRAP", ""), Wanted.from_env()
    if not bootstrap:
        raise SystemExit("STEADYPATH_KAFKA_BOOTSTRAP: host:port of the broker is needed")
    last = ""
    for attempt in range(_ATTEMPTS):
        try:
            made = await make_topics(bootstrap, wanted)
        except ValueError as error:
            sys.stderr.write(f"topics: {error}\n")
            return 1
        except (KafkaError, OSError) as error:
            last = type(error).__name__
            await asyncio.sleep(min(2.0, 0.25 * (attempt + 1)))
        else:
            sys.stdout.write(f"topics: made {', '.join(made) or 'nothing, all are there'}\n")
            return 0
    sys.stderr.write(f"topics: the broker at {bootstrap} does not answer ({last})\n")
    return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
