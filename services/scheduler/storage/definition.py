"""A plan as JSON and back. The domain's dataclasses are the schema; ids, dates, decimals and durations become text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from services.scheduler.domain.plan import Plan

_PLAN = TypeAdapter(Plan)


def to_json(plan: Plan) -> dict[str, Any]:
    """JSON-ready; holds no name."""
    return dict(_PLAN.dump_python(plan, mode="json"))


def from_json(value: Mapping[str, Any]) -> Plan:
    """The plan that `to_json` was given."""
    return _PLAN.validate_python(value)
