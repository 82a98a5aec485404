"""What both readers (FHIR, native) make of a file: bodies for the three services' own APIs, and a row for each thing read.

Nothing here has been sent. Patients come one at a time, so that a file of ten thousand is read in bounded memory; people come
first, because care teams name them. Bodies are those of PUT /notifier/people, PUT /notifier/patients, PUT
/adherence/patients/{id}/care-team and PUT /scheduler/patients/{id}/plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from steadypath.enrol.outcome import Row

Body = dict[str, Any]


@dataclass(frozen=True)
class ConsentGiven:
    """Who recorded on the command line how the patients of these files gave consent, to whom, on which day."""

    given_on: date
    how: str
    to_whom: str


@dataclass(frozen=True)
class Setting:
    """What the reading needs beside the file. `today` is the clinic's local clinical date.

    `assumed_zone`: of patients of whom no file says one (a rehearsal's --zone); enrolment assumes none.
    `routines`: the routines that are known of patients, by their external id (word of the day -> "HH:MM").
    """

    today: date
    country: str = "US"
    zone: str | None = "America/New_York"
    assumed_zone: str | None = None
    consent: ConsentGiven | None = None
    routines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class PersonIntake:
    """A member of a care team: the body of PUT /notifier/people/{id}."""

    id: str
    body: Body
    row: Row


@dataclass(frozen=True)
class PatientIntake:
    """Everything of one patient. `id` None: a request that names no patient; it is stored nowhere until it does.

    `contact` None: the file names the patient but does not hold them. `labels`: medicine id -> what a text may call it.
    `paused`: the plan goes in paused. `starts_assumed`: no element says when the plan starts, so `plan["starts_on"]` is today;
    whoever sends it again keeps the day of the first time. `rows` hold every resource of this patient.
    """

    id: str | None
    contact: Body | None = None
    plan: Body | None = None
    care_team: tuple[Body, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False
    starts_assumed: bool = False
    rows: tuple[Row, ...] = ()

    @property
    def draft(self) -> bool:
        return any(row.outcome == "draft" for row in self.rows)

    @property
    def refused(self) -> bool:
        return any(row.outcome == "refused" for row in self.rows)


@dataclass(frozen=True)
class Intake:
    """`rows`: what belongs to no patient and no person (unreadable files, foreign resources)."""

    people: tuple[PersonIntake, ...]
    patients: Iterable[PatientIntake]
    rows: tuple[Row, ...] = ()
