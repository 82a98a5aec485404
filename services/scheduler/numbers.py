"""The house's numbers (shared/defaults.toml [scheduler]), a clinic's own ones over them, as the domain takes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from functools import cache
from typing import Any

from services.scheduler.domain.occurrence import Rules
from services.scheduler.domain.validation import Limits
from shared.defaults import default, duration
from shared.errors import DomainError

#: What a clinic may set for itself, and how it is written.
OWN = (
    "dose_useful_for",
    "dose_answer_within",
    "check_in_useful_for",
    "education_useful_for",
    "overdue_at",
    "monitoring_at",
    "monitoring_result_lead",
    "appointment_reminder_days",
    "dose_texts_a_day",
)


def number(name: str, own: Mapping[str, Any]) -> Any:
    """The clinic's own value of a number, else the house's."""
    house = default("scheduler", name)
    if name not in own:
        return house
    return duration(own[name]) if isinstance(house, timedelta) else own[name]


def rules(own: Mapping[str, Any]) -> Rules:
    """How long things are of use."""
    return _house_rules() if not own else _rules(own)


@cache
def _house_rules() -> Rules:
    return _rules({})


def _rules(own: Mapping[str, Any]) -> Rules:
    return Rules(
        dose_useful=number("dose_useful_for", own),
        dose_answer=number("dose_answer_within", own),
        check_in_useful=number("check_in_useful_for", own),
        education_useful=number("education_useful_for", own),
        overdue_at=time.fromisoformat(number("overdue_at", own)),
        overdue_useful=number("overdue_useful_for", own),
        monitoring_at=time.fromisoformat(number("monitoring_at", own)),
        appointment_reminder_days=number("appointment_reminder_days", own),
        monitoring_result_lead=number("monitoring_result_lead", own),
        catch_up_after=number("catch_up_after", own),
    )


def limits(own: Mapping[str, Any]) -> Limits:
    """What a plan may ask for."""
    return Limits(
        dose_texts_a_day=number("dose_texts_a_day", own),
        shortest_answer=number("check_in_answer_shortest", own),
        longest_answer=number("check_in_answer_longest", own),
    )


@cache
def house_routine() -> Mapping[str, time]:
    """The day's words and times where neither patient nor clinic has said."""
    pairs = (entry.split("=", 1) for entry in default("scheduler", "routine"))
    return {word: time.fromisoformat(at) for word, at in pairs}


def check_own(own: Mapping[str, Any]) -> None:
    """Refuses (422) a clinic's number that does not exist or is not of the house number's shape."""
    for name, value in own.items():
        if name not in OWN:
            raise DomainError("numbers", "there is no such number", accepted=", ".join(OWN))
        _check_shape(name, value, default("scheduler", name))


def _check_shape(name: str, value: object, house: object) -> None:
    element = f"numbers.{name}"
    if isinstance(house, int):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 24:
            raise DomainError(element, "not a number that can be", accepted="a whole number from 1 to 24")
        return
    shape = "an ISO 8601 duration such as PT60M" if isinstance(house, timedelta) else "a local wall time such as 09:00"
    try:
        if isinstance(house, timedelta):
            positive = duration(str(value)) > timedelta(0)
        else:
            positive = time.fromisoformat(str(value)).tzinfo is None
    except ValueError:
        positive = False
    if not positive:
        raise DomainError(element, "not a value that can be", accepted=shape)
