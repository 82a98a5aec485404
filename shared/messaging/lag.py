"""How far a consumer is behind, in records and in seconds: what Kafka's ends were when, against where the group is now.

Seconds say more than records: a thousand records are nothing on a busy morning, one that waits for two minutes is an outage. They
are counted from when a look first saw the record, so a process that has just started knows nothing of how long it was down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import monotonic

from aiokafka import TopicPartition

#: Looks kept by partition: at one in 5 s, the ends of the last ten minutes; what is older is only known to be older.
_KEPT = 120


@dataclass(frozen=True)
class Behind:
    """Of one topic: records not handled, and machine seconds that the oldest of them has been there."""

    records: int = 0
    seconds: float = 0.0


class Lag:
    """Of the partitions that this process reads."""

    def __init__(self) -> None:
        self._seen: dict[TopicPartition, deque[tuple[int, float]]] = {}

    def look(
        self,
        ends: Mapping[TopicPartition, int],
        positions: Mapping[TopicPartition, int],
        mine: Collection[TopicPartition],
        now: float | None = None,
    ) -> None:
        """Notes the ends (the next record's offset) at a moment of machine time; `positions` as in `by_topic`."""
        moment = monotonic() if now is None else now
        self._seen = {at: seen for at, seen in self._seen.items() if at in mine}
        for at in mine:
            seen = self._seen.setdefault(at, deque())
            end = ends.get(at, 0)
            while len(seen) > 1 and seen[0][0] <= positions.get(at, 0):
                seen.popleft()
            if seen and end < seen[-1][0]:
                seen.clear()  # another log: what was seen is gone
            if not seen or end > seen[-1][0]:
                first = seen.pop()[1] if len(seen) == _KEPT else moment
                seen.append((end, first))

    def by_topic(self, positions: Mapping[TopicPartition, int], now: float | None = None) -> dict[str, Behind]:
        """How far behind these positions (next offsets) are."""
        moment = monotonic() if now is None else now
        found: dict[str, Behind] = {}
        for at, seen in self._seen.items():
            position = positions.get(at, 0)
            waiting = [(end, since) for end, since in seen if end > position]
            here = Behind(waiting[-1][0] - position, moment - waiting[0][1]) if waiting else Behind()
            there = found.get(at.topic, Behind())
            found[at.topic] = Behind(there.records + here.records, max(there.seconds, here.seconds))
        return found
