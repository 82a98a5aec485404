"""CloudEvents 1.0 in Kafka's binary mode: the attributes are headers, the body is the event's JSON and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import ValidationError

from shared.errors import SteadypathError
from shared.events.base import Envelope, Event, stable_id
from shared.events.registry import EVENTS

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
#: The record that closes a repair in each partition: no event, its only content is the repair number.
MARKER_TYPE = "steadypath.repair-marker"
REPAIR_HEADER = "repair"

RawHeaders = Sequence[tuple[str, bytes | None]]


class Unreadable(SteadypathError):
    """A record that is no event of ours. `why` names the defect in fixed words; never a byte of the record."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class HeaderUnreadable(Unreadable):
    """A header that must be there is missing, null, not UTF-8 or of the wrong form."""


class BodyUnreadable(Unreadable):
    """The body is no JSON or does not fit the event's model."""


class UnknownEvent(Unreadable):
    """An event type or version that this release does not know: a newer producer's."""


@dataclass(frozen=True)
class Decoded:
    """A record, read. `event` is None for a repair marker."""

    envelope: Envelope
    event: Event | None


def headers_of(
    event: Event,
    *,
    event_id: UUID,
    service: str,
    now: datetime,
    correlation_id: UUID,
    causation_id: UUID | None,
    traceparent: str | None,
) -> dict[str, str]:
    """The headers as the outbox keeps them; the relay adds its repair number when it publishes."""
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(event_id),
        "ce_type": event.full_type,
        "ce_source": f"/steadypath/{service}",
        "ce_time": now.astimezone(UTC).isoformat(),
        "ce_subject": str(event.key),
        "ce_correlationid": str(correlation_id),
        "ce_clinicid": str(event.clinic_id),
        "content-type": CONTENT_TYPE,
    }
    if causation_id is not None:
        headers["ce_causationid"] = str(causation_id)
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return headers


def body_of(event: Event) -> bytes:
    """The event as JSON bytes."""
    return event.model_dump_json().encode()


def wire_headers(headers: Mapping[str, str], repair: int) -> dict[str, str]:
    """Headers as they go on the wire: those of the outbox with the relay's repair number."""
    return {**headers, REPAIR_HEADER: str(repair)}


def marker_headers(service: str, repair: int, now: datetime) -> dict[str, str]:
    """The headers of the record that closes a repair; its id is the same in every partition and is never in an inbox."""
    marker = stable_id("repair-marker", service, repair)
    return {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(marker),
        "ce_type": MARKER_TYPE,
        "ce_source": f"/steadypath/{service}",
        "ce_time": now.astimezone(UTC).isoformat(),
        "ce_subject": service,
        "ce_correlationid": str(marker),
        REPAIR_HEADER: str(repair),
    }


def repair_of(headers: RawHeaders) -> int:
    """The repair number of a record, 0 where there is none that can be read: an unreadable record never starts a re-reading."""
    for name, value in headers:
        if name == REPAIR_HEADER and value is not None and value.isdigit():
            return int(value)
    return 0


def _text_headers(headers: RawHeaders) -> dict[str, str]:
    """Our headers as text. One that is null or not UTF-8 makes the record unreadable: it is parked, never skipped."""
    found: dict[str, str] = {}
    for name, value in headers:
        try:
            found[name] = (value or b"").decode()
        except UnicodeDecodeError:
            raise HeaderUnreadable("a header is not UTF-8") from None
        if value is None:
            raise HeaderUnreadable("a header is null")
    return found


def envelope_of(headers: RawHeaders) -> Envelope:
    """The CloudEvents attributes. Raises HeaderUnreadable."""
    found = _text_headers(headers)
    try:
        return Envelope(
            id=UUID(found["ce_id"]),
            type=found["ce_type"],
            source=found["ce_source"],
            time=datetime.fromisoformat(found["ce_time"]),
            subject=found["ce_subject"],
            correlation_id=UUID(found["ce_correlationid"]),
            causation_id=UUID(found["ce_causationid"]) if "ce_causationid" in found else None,
            traceparent=found.get("traceparent"),
            repair=int(found.get(REPAIR_HEADER, "0")),
        )
    except (KeyError, ValueError):
        raise HeaderUnreadable("a CloudEvents attribute is missing or malformed") from None


def event_of(event_type: str, body: bytes | None) -> Event:
    """The event of a body. Raises UnknownEvent or BodyUnreadable; neither quotes the body."""
    model = EVENTS.get(event_type)
    if model is None:
        raise UnknownEvent("an event type or version this release does not know")
    try:
        return model.model_validate_json(body or b"")
    except ValidationError:
        raise BodyUnreadable("the body does not fit its event") from None


def decode(headers: RawHeaders, body: bytes | None) -> Decoded:
    """A whole record. Raises Unreadable."""
    envelope = envelope_of(headers)
    if envelope.type == MARKER_TYPE:
        return Decoded(envelope, None)
    return Decoded(envelope, event_of(envelope.type, body))
