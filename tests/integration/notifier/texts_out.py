"""Events that lead to texts, and what became of one: what tests of the gate share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from shared.events.adherence import (
    AlertRaisedV1,
    AlertSnapshot,
    MessageRequestedV1,
)
from shared.events.due import CheckInDueV1
from tests.integration.notifier.bench import CLINIC, Bench, Someone

NIGHT = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)  # 02:00 in New York

OPENING = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)  # 09:00 in New York


async def advance(bench: Bench, to: datetime) -> None:
    await bench.forward(seconds=(to - bench.now).total_seconds())


def check_in(bench: Bench, who: Someone, **changes: Any) -> CheckInDueV1:
    dose = bench.dose(who).model_dump()
    values = dose | {"instrument": "mood", "item": "mood", "useful_until": bench.now + timedelta(hours=12)}
    return CheckInDueV1(**(values | changes))


def alert(bench: Bench, about: Someone, to: Someone | None, **changes: Any) -> AlertSnapshot:
    values: dict[str, Any] = {
        "alert_id": uuid4(),
        "code": "A7K2",
        "kind": "missed-check-in",
        "severity": "low",
        "state": "open",
        "dedup_key": f"test/{about.id}/{uuid4()}",
        "recipient_id": to.id if to else None,
        "step": 0,
        "deadline_at": bench.now + timedelta(hours=1),
        "raised_at": bench.now,
    }
    return AlertSnapshot(**(values | changes))


def raised(about: Someone, snapshot: AlertSnapshot, version: int = 1) -> AlertRaisedV1:
    return AlertRaisedV1(clinic_id=CLINIC, patient_id=about.id, alert_version=version, alert=snapshot)


async def status(bench: Bench, event: Any) -> tuple[str, str | None]:
    text = await bench.message(f"occurrence/{event.occurrence_id}")
    return text.state, text.why


def asks(bench: Bench, who: Someone, request: UUID) -> MessageRequestedV1:
    return MessageRequestedV1(
        clinic_id=CLINIC,
        patient_id=who.id,
        request_id=request,
        purpose="question",
        instrument="dose",
        item="why-skipped",
        running_conversation=True,
        useful_until=bench.now + timedelta(hours=1),
    )
