"""Bodies of the notifier's contact and clinic API, in and out. Unknown fields are refused: a misspelt one must not be lost."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Language = Literal["en", "es"]
Privacy = Literal["discreet", "named"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
Phone = Annotated[str, StringConstraints(min_length=3, max_length=40, strip_whitespace=True)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Consent(Body):
    """That the patient agreed to texts: on which day, how ("signed form"), and to whom."""

    given_on: date
    how: Name
    to_whom: Name


class PatientBody(Body):
    """A patient's contact. Left out: `phone` and `consent` stay as they are; null takes them away."""

    name: Name
    phone: Phone | None = None
    language: Language | None = None
    privacy: Privacy = "discreet"
    #: ISO 3166-1 alpha-2; decides the crisis line. Left out: the clinic's. Never guessed from the number.
    country: Country | None = None
    consent: Consent | None = None
    #: What the patient is called on lists that others may see.
    alias: Name | None = None
    #: Staff recorded that the patient gave the number for texts.
    number_given: bool = False


class PersonBody(Body):
    """A member of the care team. `zone` decides their quiet hours; left out: the clinic's."""

    name: Name
    phone: Phone | None = None
    zone: str | None = None
    roles: list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,31}$")]] = Field(default_factory=list, max_length=10)
    language: Language | None = None


class LabelBody(Body):
    """What the patient wants a medicine to be called in a text, with `named` privacy."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]
    patient: ExternalId


class ClinicBody(Body):
    """A clinic's settings. `crisis_contact` is a person's id; `numbers` replace defaults of the notifier."""

    name: Name
    zone: str
    country: Country
    sender: Phone
    language: Language = "en"
    crisis_contact: ExternalId | None = None
    phone_for_help: Phone | None = None
    numbers: dict[str, Any] = Field(default_factory=dict)


class ReasonBody(Body):
    """Why. `until` with pause-texts only."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    until: AwareDatetime | None = None


class Outcome(BaseModel):
    """What a command did. `missing`: what must be on record before a text may go."""

    id: UUID
    outcome: Literal["created", "changed", "unchanged"]
    contact_version: int | None = None
    missing: list[Literal["phone", "consent"]] = Field(default_factory=list)


class PatientView(BaseModel):
    id: UUID
    name: str
    alias: str | None
    phone: str | None
    language: Language
    privacy: Privacy
    country: str | None
    consent: Consent | None
    number_given: bool
    contact_version: int
    opted_out: bool
    opted_out_at: AwareDatetime | None
    number_suspect: bool
    suspect_why: str | None
    suspended: bool
    texts_paused: Literal["no", "by-patient", "by-staff", "crisis"]
    paused_until: AwareDatetime | None
    last_inbound_at: AwareDatetime | None
    welcomed_at: AwareDatetime | None


class PersonView(BaseModel):
    id: UUID
    name: str
    phone: str | None
    zone: str | None
    roles: list[str]
    language: Language
    contact_version: int
    opted_out: bool
    number_suspect: bool
    suspended: bool


class ContactLine(BaseModel):
    """One line of the phone page."""

    id: UUID
    number: str | None
    role: Literal["patient", "care-team"]
    label: str
    zone: str | None


class ReplyView(BaseModel):
    """A text in the sender's own words: for the care team's eyes."""

    id: UUID
    patient: UUID | None
    at: AwareDatetime
    text: str
    disposition: str
    risk: str | None
    read_at: AwareDatetime | None


class ClinicView(BaseModel):
    id: UUID
    name: str
    zone: str
    country: str
    sender: str
    language: Language
    crisis_contact: UUID | None
    phone_for_help: str | None
    numbers: dict[str, Any]
