"""What Kafka itself says, by its own tools inside a broker's container: its version, and who has which partitions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.compose.project import Container, Project

_TOOLS = "/opt/kafka/bin"
_BOOTSTRAP = ("--bootstrap-server", "localhost:9092")


@dataclass(frozen=True)
class Member:
    """One consumer of a group. `partitions`: "topic:number"."""

    id: str
    host: str
    partitions: frozenset[str]


def version(stack: Project, broker: Container) -> str:
    return stack.inside(broker, f"{_TOOLS}/kafka-topics.sh", "--version").split()[0]


def tool(stack: Project, broker: Container, name: str, *arguments: str) -> str:
    """What one of Kafka's own tools says."""
    return stack.inside(broker, f"{_TOOLS}/{name}", *_BOOTSTRAP, *arguments)


def members(stack: Project, broker: Container, group: str) -> list[Member]:
    """Empty while the group shares its partitions out anew."""
    said = stack.inside(
        broker,
        f"{_TOOLS}/kafka-consumer-groups.sh",
        *_BOOTSTRAP,
        "--describe",
        "--members",
        "--verbose",
        "--group",
        group,
        check=False,
    )
    return parse(said)


def parse(said: str) -> list[Member]:
    """The table that `kafka-consumer-groups.sh --describe --members --verbose` prints."""
    lines = [line.split() for line in said.splitlines()]
    head = next((line for line in lines if line[:2] == ["GROUP", "CONSUMER-ID"]), None)
    if head is None:
        return []
    host, assigned = (
        head.index("HOST"),
        head.index("CURRENT-ASSIGNMENT") if "CURRENT-ASSIGNMENT" in head else head.index("ASSIGNMENT"),
    )
    rows = [line for line in lines if len(line) > assigned and line[0] not in ("GROUP", "Consumer", "Warning:")]
    return sorted(
        (Member(line[1], line[host].lstrip("/"), _partitions(line[assigned])) for line in rows), key=lambda member: member.host
    )


def _partitions(text: str) -> frozenset[str]:
    """`due.v1:0,1;plans.v1:3`, in older tools `due.v1(0,1), plans.v1(3)`."""
    found = re.findall(r"([\w.]+)[:(]([\d,]+)", text)
    return frozenset(f"{topic}:{number}" for topic, numbers in found for number in numbers.split(",") if number)


def shown(found: list[Member]) -> str:
    lines = [f"    {member.host:<15} {len(member.partitions):>2}: {_short(member.partitions)}" for member in found]
    return "\n".join(lines)


def _short(partitions: frozenset[str]) -> str:
    topics: dict[str, list[str]] = {}
    for one in sorted(partitions):
        topic, _, number = one.rpartition(":")
        topics.setdefault(topic, []).append(number)
    return "  ".join(f"{topic} {','.join(numbers)}" for topic, numbers in topics.items())
