"""What the HTTP surface takes: shapes only. What a plan must be beyond its shape is domain/validation.py's."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from shared.defaults import duration
from shared.events.base import Slug, Zone

_HH_MM = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")

#: The clinic's own id of something, or ours (a UUID).
ExternalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:@-]{1,64}$")]
#: Free text of a person: audited and sealed, never sent on (see events.reason_code).
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]
#: Day of the plan: 1 is `starts_on`. Later of a medicine of its own start, or of a command's `effective_on`.
Day = Annotated[int, Field(ge=1, le=3650)]
Days = Annotated[int, Field(ge=1, le=3650)]


def _wall(value: object) -> object:
    """Exactly HH:MM: seconds, offsets and numbers mean something else than a time of day on a wall."""
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not _HH_MM.fullmatch(value):
        raise PydanticCustomError("time_of_day", "a local time is needed", {"expected": "a local time such as 08:00"})
    return time.fromisoformat(value)


def _span(value: str) -> str:
    try:
        duration(value)
    except (ValueError, OverflowError):
        accepted = "an ISO 8601 duration such as PT24H or P2D"
        raise PydanticCustomError("duration", "a duration is needed", {"expected": accepted}) from None
    return value


def _weekday(value: object, read: ValidatorFunctionWrapHandler) -> int:
    """A number says nothing of which day it is; the refusal does."""
    try:
        day: int = read(value)
    except ValidationError:
        raise PydanticCustomError("weekday", "a day of the week", {"expected": "1 (Monday) to 7 (Sunday)"}) from None
    return day


#: ISO 8601: 1 is Monday.
Weekday = Annotated[int, Field(ge=1, le=7), WrapValidator(_weekday)]
Wall = Annotated[time, BeforeValidator(_wall)]
#: ISO 8601 duration of weeks, days, hours, minutes.
Duration = Annotated[str, StringConstraints(max_length=24), AfterValidator(_span)]
#: A local date on which anything of a plan can lie.
PlanDate = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2200, 1, 1))]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


class SlotBody(Body):
    """`time` may be left out where the routine gives it: then `routine` (or the slot's own name) says which entry."""

    time: Wall | None = None
    times_from: Literal["plan", "routine"] = "plan"
    routine: Slug | None = None


def _short_slot(value: object) -> object:
    return {"time": value} if isinstance(value, str) else value


#: "08:00" is short for {"time": "08:00"}.
SlotEntry = Annotated[SlotBody, BeforeValidator(_short_slot, json_schema_input_type=SlotBody | str)]


class CodeBody(Body):
    system: Text | None = None
    code: Text | None = None
    display: Text | None = None


class DoseBody(Body):
    slot: Slug
    quantity: Annotated[Decimal, Field(gt=0, le=100_000, max_digits=12)]
    unit: Annotated[str, StringConstraints(pattern=r"^[a-zA-Zµ%][a-zA-Zµ0-9%/. ]{0,23}$")]
    every_days: Annotated[int, Field(ge=1, le=366)] = 1
    weekdays: list[Weekday] = []


class StepBody(Body):
    """`from_day` counts from the medicine's start (the plan's, where it has none of its own), which is day 1."""

    from_day: Day = 1
    doses: list[DoseBody] = []


class MedicineBody(Body):
    id: ExternalId
    code: CodeBody | None = None
    kind: Literal["steady", "titration", "taper"] = "steady"
    as_needed: bool = False
    rule_sets: list[Slug] = []
    starts_on: PlanDate | None = None
    steps: list[StepBody] = []
    ends_on: PlanDate | None = None
    replaces: ExternalId | None = None


class CheckInBody(Body):
    id: ExternalId
    instrument: Slug
    item: Slug
    first_day: Day = 1
    every_days: Days = 1
    time: Wall
    answer_within: Duration = "PT24H"
    last_day: Day | None = None


class FollowUpBody(Body):
    id: ExternalId
    due_day: Day
    deadline_day: Day
    time: Wall


class AppointmentBody(Body):
    """`starts_at` is local wall time in `zone` (default: the plan's, else the clinic's)."""

    starts_at: datetime
    zone: Zone | None = None
    follow_up: ExternalId | None = None


class PlannedAppointmentBody(AppointmentBody):
    id: ExternalId


class MonitoringBody(Body):
    id: ExternalId
    due_day: Day
    every_days: Days | None = None
    deadline_days: Annotated[int, Field(ge=0, le=3650)]
    time: Wall | None = None


class EducationBody(Body):
    id: ExternalId
    lesson: Slug
    day: Day
    time: Wall


class ReviewBody(Body):
    id: ExternalId
    day: Day
    reason: Slug
    time: Wall | None = None


class PlanBody(Body):
    """A whole plan, as the clinic states it. Putting it again changes what was changed in it and nothing else."""

    zone: Zone | None = None
    routine: dict[Slug, Wall] = {}
    starts_on: PlanDate
    slots: dict[Slug, SlotEntry] = {}
    medicines: list[MedicineBody] = []
    check_ins: list[CheckInBody] = []
    follow_ups: list[FollowUpBody] = []
    appointments: list[PlannedAppointmentBody] = []
    monitoring: list[MonitoringBody] = []
    education: list[EducationBody] = []
    reviews: list[ReviewBody] = []


class DoseChangeBody(Body):
    """`steps` count from `effective_on` = day 1; `doses` is a ladder of one step. With `taper` it is one that ends."""

    medicine: ExternalId
    effective_on: PlanDate
    steps: list[StepBody] | None = None
    doses: list[DoseBody] | None = None
    taper: bool = False
    ends_on: PlanDate | None = None
    reason: Reason


class MedicineChangeBody(Body):
    """A medicine to add, or to switch to from `from`."""

    medicine: MedicineBody
    reason: Reason


class SwitchBody(MedicineChangeBody):
    from_medicine: ExternalId


class RemoveBody(Body):
    medicine: ExternalId
    reason: Reason


class PauseBody(Body):
    reason: Reason
    resume_on: PlanDate | None = None


class ResumeBody(Body):
    reason: Reason | None = None


class StopBody(Body):
    reason: Reason


class ZoneBody(Body):
    zone: Zone
    reason: Reason | None = None


class RoutineBody(Body):
    routine: dict[Slug, Wall]
    reason: Reason | None = None


class OutcomeBody(Body):
    outcome: Literal["kept", "missed", "cancelled"]
    reason: Reason | None = None


class ResultBody(Body):
    """That a result is on record, on which local date; its value stays where it was measured."""

    recorded_on: PlanDate


class ClinicBody(Body):
    zone: Zone | None = None
    routine: dict[Slug, Wall] = {}
    numbers: dict[Slug | str, Any] = {}
