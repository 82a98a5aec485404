"""The native format, version 1: a clinic's people and patients, each patient with contact, consent, care team and plan.

The shapes of a plan are those of PUT /scheduler/patients/{id}/plan, so what the format can say and what a plan can be never drift
apart. Unknown fields are refused: a misspelt one must not be lost. `docs/native-format.md` explains every field.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.notifier.http.bodies import Consent, Country, Language, Name, PersonBody, Phone, Privacy
from services.scheduler.bodies import (
    CheckInBody,
    EducationBody,
    ExternalId,
    FollowUpBody,
    MedicineBody,
    MonitoringBody,
    PlanDate,
    PlannedAppointmentBody,
    ReviewBody,
    SlotEntry,
    Wall,
)
from services.scheduler.bodies import Duration as Wait
from shared.events.base import Slug, Zone

VERSION = 1
#: What a medicine may be called in a text.
Label = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


class Person(PersonBody):
    """A member of the clinic's staff whom alerts can reach by text."""

    id: ExternalId = Field(description="The clinic's own id of the person; care teams name it.")


class Member(Part):
    """One place in a patient's care team."""

    person: ExternalId = Field(description="The id of one of `people`, or of somebody whom the clinic knows already.")
    wait: Wait | None = Field(None, description="How long they have before it is the next one's turn. ISO 8601, PT1M to P7D.")
    role: Literal["prescriber", "therapist", "coordinator"] | None = Field(
        None, description="What they are to this patient: a gap in doses goes to prescribers first."
    )


class Medicine(MedicineBody):
    """A medicine with its dose ladder: steady has one step, a titration climbs, a taper goes down and ends."""

    label: Label | None = Field(None, description="What a text may call it, with `named` privacy. Leaves for the notifier only.")


class NativePlan(Part):
    """What is to happen, from `starts_on` = day 1 on."""

    starts_on: PlanDate | None = Field(
        None, description="Day 1, a local date. Left out: the day on which the file goes in first; later runs keep that day."
    )
    slots: dict[Slug, SlotEntry] = Field(
        default_factory=dict, description="The times of day at which something is taken, each with a name. One text a slot."
    )
    medicines: list[Medicine] = Field(default_factory=list, max_length=50)
    check_ins: list[CheckInBody] = Field(default_factory=list, max_length=50, description="Questions asked every so many days.")
    follow_ups: list[FollowUpBody] = Field(default_factory=list, max_length=100, description="Visits by a certain day.")
    appointments: list[PlannedAppointmentBody] = Field(default_factory=list, max_length=100, description="Booked visits.")
    monitoring: list[MonitoringBody] = Field(default_factory=list, max_length=100, description="Labs and vital signs.")
    education: list[EducationBody] = Field(default_factory=list, max_length=100, description="Lessons of the house.")
    reviews: list[ReviewBody] = Field(default_factory=list, max_length=100, description="When the plan itself is looked at.")


class Patient(Part):
    """One patient. Left out, `phone` and `consent` stay as they are on record; null takes them away."""

    id: ExternalId = Field(description="The clinic's own id. The same id is the same patient, in every run.")
    name: Name
    phone: Phone | None = Field(None, description="A mobile number: E.164, or a national one of `country`.")
    zone: Zone | None = Field(None, description="The IANA zone in which the patient lives. Without one nothing goes.")
    language: Language | None = Field(None, description="Of the texts. Left out: the clinic's.")
    privacy: Privacy = Field("discreet", description="`named`: texts may use the labels of medicines.")
    country: Country | None = Field(None, description="ISO 3166-1 alpha-2; decides the crisis line. Left out: the clinic's.")
    alias: Name | None = Field(None, description="What the patient is called on lists that others may see.")
    number_given: bool = Field(False, description="Staff recorded that the patient gave the number for texts.")
    routine: dict[Slug, Wall] = Field(
        default_factory=dict, description="The patient's day: wake, breakfast, lunch, dinner, sleep ... as HH:MM."
    )
    consent: Consent | None = Field(None, description="That the patient agreed to texts: on which day, how, to whom.")
    care_team: list[Member] = Field(
        default_factory=list, max_length=20, description="Who hears of what needs a person, in this order. Empty: the clinic's."
    )
    plan: NativePlan | None = Field(None, description="Left out: the plan on record stays as it is.")


class NativeFile(Part):
    """A file of the native format."""

    steadypath: Literal[1] = Field(description="The version of the format.")
    people: list[Person] = Field(default_factory=list)
    patients: list[Patient] = Field(default_factory=list)


_CONTACT = ("name", "phone", "language", "privacy", "country", "alias", "number_given", "consent")


def contact_of(patient: Patient) -> dict[str, Any]:
    """The body of PUT /notifier/patients/{id}; what the file leaves out is left out."""
    return patient.model_dump(mode="json", include=set(_CONTACT), exclude_unset=True)


def care_team_of(patient: Patient) -> tuple[dict[str, Any], ...]:
    """The chain of PUT /adherence/patients/{id}/care-team."""
    return tuple(one.model_dump(mode="json", exclude_none=True) for one in patient.care_team)


def labels_of(patient: Patient) -> dict[str, str]:
    """Medicine -> what a text may call it."""
    return {one.id: one.label for one in patient.plan.medicines if one.label is not None} if patient.plan else {}


def plan_of(patient: Patient, today: str) -> dict[str, Any] | None:
    """The body of PUT /scheduler/patients/{id}/plan. No name, number or label is in it."""
    if patient.plan is None:
        return None
    body = patient.plan.model_dump(mode="json", exclude_unset=True, exclude={"medicines": {"__all__": {"label"}}})
    body["slots"] = {name: _slot(one) for name, one in body.get("slots", {}).items()}
    body["starts_on"] = body.get("starts_on") or today
    if patient.zone is not None:
        body["zone"] = patient.zone
    if patient.routine:
        body["routine"] = {word: f"{at:%H:%M}" for word, at in patient.routine.items()}
    return _walls(body)


def _slot(slot: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in slot.items() if value is not None}


def _walls(body: dict[str, Any]) -> dict[str, Any]:
    """Times as the API takes them: exactly HH:MM (pydantic writes seconds)."""
    for one in body["slots"].values():
        _cut(one, "time")
    for kind in ("check_ins", "follow_ups", "monitoring", "education", "reviews"):
        for one in body.get(kind, ()):
            _cut(one, "time")
    return body


def _cut(one: dict[str, Any], name: str) -> None:
    if isinstance(one.get(name), str):
        one[name] = one[name][:5]


def schema() -> dict[str, Any]:
    """The JSON Schema of a file, as docs/contracts/native-plan.v1.schema.json has it."""
    found = NativeFile.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:steadypath:native-plan:v1", **found}
