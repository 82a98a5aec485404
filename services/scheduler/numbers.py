"""The house's numbers (shared/defaults.toml [scheduler]), a clinic's own ones over them, as the domain takes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from functools import cache
from typing import Any

from services.scheduler.domain.occurrence import Rules
from services.scheduler.domain.validation import Limits
from shared import own_numbers
from shared.defaults import default

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
    return own_numbers.own("scheduler", name, own)


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
    own_numbers.check("scheduler", own, OWN, {})
