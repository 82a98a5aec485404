"""The one table of all events and topics: who says them, who hears them, under which consumer group.

JSON Schemas, AsyncAPI, routing and the relay's memory of consumer groups are all read from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from shared.events import adherence, due, messages, plans
from shared.events.base import TOPIC_ADHERENCE, TOPIC_DUE, TOPIC_MESSAGES, TOPIC_PLANS, Event

SCHEDULER = "scheduler"
NOTIFIER = "notifier"
ADHERENCE = "adherence"
SERVICES = (SCHEDULER, NOTIFIER, ADHERENCE)


@dataclass(frozen=True)
class Topic:
    """One stream. `heard_by` are service names; the consumer group of a service is `steadypath.<service>`."""

    name: str
    said_by: str
    heard_by: tuple[str, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(group_of(service) for service in self.heard_by)


TOPICS = {
    topic.name: topic
    for topic in (
        Topic(TOPIC_PLANS, SCHEDULER, (NOTIFIER, ADHERENCE)),
        Topic(TOPIC_DUE, SCHEDULER, (NOTIFIER, ADHERENCE)),
        Topic(TOPIC_MESSAGES, NOTIFIER, (ADHERENCE, SCHEDULER)),
        Topic(TOPIC_ADHERENCE, ADHERENCE, (NOTIFIER, SCHEDULER)),
    )
}


def group_of(service: str) -> str:
    """The Kafka consumer group of a service."""
    return f"steadypath.{service}"


def topics_heard_by(service: str) -> tuple[str, ...]:
    return tuple(topic.name for topic in TOPICS.values() if service in topic.heard_by)


def _declared(modules: Iterable[ModuleType]) -> dict[str, type[Event]]:
    found: dict[str, type[Event]] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Event) and "type" in vars(value):
                full_type = f"{value.type}.v{value.version}"
                if found.get(full_type, value) is not value:
                    raise RuntimeError(f"two models claim the event {full_type}")
                found[full_type] = value
    return found


#: "dose-due.v1" -> DoseDueV1, for every event there is.
EVENTS: dict[str, type[Event]] = _declared((plans, due, messages, adherence))
