"""What every event is: a frozen pydantic model per event *version*, and the envelope it travels in.

A model declares its type, version and topic as class variables; `shared.events.registry` collects them. Nothing here may
hold a name, a phone number, free text, a drug name or a medicine code: events are pseudonymous health data at most.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

TOPIC_PLANS = "plans.v1"
TOPIC_DUE = "due.v1"
TOPIC_MESSAGES = "messages.v1"
TOPIC_ADHERENCE = "adherence.v1"

#: Namespace of every deterministic id in Steadypath (uuid5 of its parts).
STEADYPATH_NAMESPACE = UUID("6f1c6a3e-3b1e-5d0b-9a52-8f4f0c7a9d11")

#: Local wall time, "HH:MM", in the patient's IANA zone.
WallTime = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
#: A rule-set, instrument or reason id: lower case words joined by hyphens; it names what a thing does, never a drug.
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
#: IANA zone name. Which names exist is for the tzdata of whoever computes with it, not for the contract.
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}$")]
#: The unit of a quantity as the plan states it: "tablet", "mg", "mL", "µg/h". Room for a unit (UCUM), not for a sentence.
Unit = Annotated[str, StringConstraints(pattern=r"^[A-Za-zµ%\[][A-Za-z0-9µ%/.\[\]-]{0,15}$")]
#: What a clinician texts back: a letter and a digit, twice, none that can be misread (services/adherence/domain/codes.py).
AlertCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][0-9][A-Z][0-9]$")]
#: Equal keys are one alert: a kind and our own ids, joined.
DedupKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9:/.-]{0,199}$")]


def stable_id(*parts: object) -> UUID:
    """The id that the same parts always have: uuid5 over the parts joined by '/'. Never use it for secrets."""
    return uuid5(STEADYPATH_NAMESPACE, "/".join(str(part) for part in parts))


class Contract(BaseModel):
    """A frozen part of an event. Unknown fields are ignored on reading, so that a newer producer can add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Event(Contract):
    """Base of all events. `clinic_id` is on each; `patient_id` is absent only where there is no patient."""

    type: ClassVar[str]
    version: ClassVar[int] = 1
    topic: ClassVar[str]
    #: "state": guarded by its owner's version, a snapshot; "fact": guarded by its id and its own state machine.
    nature: ClassVar[Literal["state", "fact"]]
    #: True for what is handled even while the patient's key is parked (DESIGN.md rule 10).
    bypasses_parking: ClassVar[bool] = False

    clinic_id: UUID
    patient_id: UUID | None = None

    @property
    def full_type(self) -> str:
        return f"{self.type}.v{self.version}"

    @property
    def key(self) -> UUID:
        """Kafka key: the patient, or the clinic where there is no patient. Keeps one patient's events in order."""
        return self.patient_id or self.clinic_id

    @property
    def passes_parking(self) -> bool:
        """Whether *this* event is handled while its key is parked. Overridden where it depends on a field."""
        return self.bypasses_parking


class Envelope(Contract):
    """CloudEvents 1.0 attributes of one event, as they stand in Kafka headers (binary mode)."""

    id: UUID
    type: str
    source: str
    time: datetime
    subject: str
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None
    #: The relay's repair number (DESIGN.md 3): higher than the reader has stored means "read the topic again".
    repair: int = 0


Instant = AwareDatetime
