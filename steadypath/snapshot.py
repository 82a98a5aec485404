"""What a part says of itself after a step, and when all parts together are quiet. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from shared.events.registry import TOPICS


@dataclass(frozen=True)
class Snapshot:
    """One part's answer to a step. `published`: last offset by "topic:partition"; `consumed`: next offset to handle, likewise."""

    now: datetime
    next_due: datetime | None
    due: int
    unsent: int
    in_flight: int
    parked: int
    work: int
    published: Mapping[str, int] = field(default_factory=dict)
    consumed: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> Snapshot:
        """From the JSON of `POST .../simulation/step`. Raises ValueError where it is not that."""
        try:
            due = answer["next_due"]
            return cls(
                now=datetime.fromisoformat(answer["now"]),
                next_due=None if due is None else datetime.fromisoformat(due),
                due=int(answer["due"]),
                unsent=int(answer["unsent"]),
                in_flight=int(answer["in_flight"]),
                parked=int(answer["parked"]),
                work=int(answer["work"]),
                published={str(place): int(offset) for place, offset in answer["published"].items()},
                consumed={str(place): int(offset) for place, offset in answer["consumed"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not a snapshot") from error


def busy(snapshots: Mapping[str, Snapshot | None], now: datetime) -> set[str]:
    """Who has something to do, as far as anybody knows: by itself, or with records not handled; and who gave no answer."""
    own = {name for name, one in snapshots.items() if one is None or _own(replace(one, now=now), now)}
    return own | {one.reader for one in _unread(snapshots)}


def same(before: Mapping[str, Snapshot | None], now: Mapping[str, Snapshot | None]) -> bool:
    """Whether nobody has anything new to say; the time of saying apart."""
    return before.keys() == now.keys() and all(
        one is not None and (old := before[name]) is not None and replace(old, now=one.now) == one for name, one in now.items()
    )


def not_quiet(snapshots: Mapping[str, Snapshot | None], now: datetime) -> list[str]:
    """What is not quiet, a line each; empty = quiet. A part that is not there is not quiet."""
    found: list[str] = []
    for name, snapshot in snapshots.items():
        if snapshot is None:
            found.append(f"{name}: no answer")
        else:
            found += [f"{name}: {what}" for what in _own(snapshot, now)]
    return found + [f"{one.reader}: {one.records} records of {one.place} not handled" for one in _unread(snapshots)]


def at_work(before: Mapping[str, Snapshot | None], now: Mapping[str, Snapshot | None]) -> set[str]:
    """Who has done something since the snapshot before, or gave none then."""
    pairs = ((name, before.get(name), snapshot) for name, snapshot in now.items())
    return {name for name, old, new in pairs if new is not None and (old is None or old.work != new.work)}


def moved(before: Mapping[str, Snapshot | None], now: Mapping[str, Snapshot | None]) -> bool:
    """Whether anything came further. Being busy alone is not progress: a part that works for ever without effect is stuck."""

    def place(snapshots: Mapping[str, Snapshot | None]) -> dict[str, Snapshot | None]:
        return {name: one and replace(one, work=0, in_flight=0) for name, one in snapshots.items()}

    return place(before) != place(now)


def _own(snapshot: Snapshot, now: datetime) -> list[str]:
    found = []
    if snapshot.now != now:
        found.append("is at another time")
    if snapshot.due or (snapshot.next_due is not None and snapshot.next_due <= now):
        found.append(f"{max(snapshot.due, 1)} due")
    if snapshot.unsent:
        found.append(f"{snapshot.unsent} events not published")
    if snapshot.in_flight:
        found.append(f"{snapshot.in_flight} in flight")
    return found


class _Unread(NamedTuple):
    """How many records of a place ("topic:partition") its reader has not handled yet."""

    reader: str
    place: str
    records: int


def _unread(snapshots: Mapping[str, Snapshot | None]) -> list[_Unread]:
    """Records that a service has published and one that hears the topic has not handled yet."""
    found = []
    for writer in snapshots.values():
        for place, last in (writer.published if writer is not None else {}).items():
            topic = TOPICS.get(place.rpartition(":")[0])
            for reader in topic.heard_by if topic is not None else ():
                snapshot = snapshots.get(reader)  # a reader without an answer is named already
                handled = 0 if snapshot is None else snapshot.consumed.get(place, 0)
                if snapshot is not None and handled <= last:
                    found.append(_Unread(reader, place, last + 1 - handled))
    return found
