"""An alert goes from person to person until somebody acknowledges; then nobody is ever paged for it again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.adherence.domain import alerts
from services.adherence.domain.alerts import Alert, Chain, Turn
from services.adherence.domain.codes import codes_for
from services.adherence.domain.policy import AlertPolicy

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # 10:00 in New York
HALF = timedelta(minutes=30)
A, B, ON_CALL = (UUID(int=n) for n in (1, 2, 3))
CHAIN = Chain((Turn(A, HALF), Turn(B, HALF)), (Turn(ON_CALL, HALF),))
POLICY = AlertPolicy(
    severities={"missed-check-in": "low", "dose-gap": "high", "crisis": "crisis"},
    zone="America/New_York",
    low_from=time(9),
    low_until=time(20),
    crisis_wait=timedelta(minutes=5),
    pauses={
        "low": (timedelta(days=1),),
        "high": (timedelta(hours=1), timedelta(hours=4), timedelta(days=1)),
        "crisis": (timedelta(minutes=1), timedelta(minutes=15)),
    },
)


def alert(severity: str = "high", chain: Chain = CHAIN) -> Alert:
    return Alert(UUID(int=9), "dose-gap", severity, "key", chain, NOW)  # type: ignore[arg-type]


def pages(severity: str, moves: int, chain: Chain = CHAIN) -> tuple[list[UUID | None], list[timedelta], int]:
    """Recipients, times since it was raised, and how often ops heard, when nobody acknowledges."""
    moved = alerts.raised(alert(severity, chain), NOW, POLICY)
    recipients, times, ops = [moved.alert.recipient], [timedelta(0)], int(moved.ops_hears)
    for _ in range(moves):
        at = moved.alert.deadline_at
        if at is None:
            break
        following = alerts.escalated(moved.alert, at, "deadline", POLICY)
        assert following is not None
        assert following.alert.version == moved.alert.version + 1
        moved = following
        recipients.append(moved.alert.recipient)
        times.append(at - NOW)
        ops += moved.ops_hears
    return recipients, times, ops


def test_a_high_alert_goes_through_the_chain_then_ops_then_the_on_call_again_and_again() -> None:
    recipients, times, ops = pages("high", 7)
    assert recipients == [A, B, None, ON_CALL, None, ON_CALL, None, ON_CALL]
    minutes = [int(each.total_seconds() // 60) for each in times]
    assert minutes == [0, 30, 60, 120, 150, 390, 420, 1860]
    assert ops == 3


def test_a_crisis_waits_minutes_whatever_the_chain_says() -> None:
    recipients, times, _ops = pages("crisis", 4)
    assert recipients == [A, B, None, ON_CALL, None]
    assert [int(each.total_seconds() // 60) for each in times] == [0, 5, 10, 11, 16]


def test_a_low_alert_ends_with_the_on_call_once_and_stays_on_the_board() -> None:
    recipients, _times, ops = pages("low", 20)
    assert recipients[0] == A
    assert [each for each in recipients if each is not None] == [A, B, ON_CALL]
    assert recipients[-1] is None
    assert ops == 2


@pytest.mark.parametrize("people", [(ON_CALL,), (A, ON_CALL), (ON_CALL, A)])
def test_a_low_alert_asks_nobody_twice(people: tuple[UUID, ...]) -> None:
    """DESIGN.md 1: a clinician must never get the same alert twice. It stays on the board, and ops hears that nobody took it."""
    recipients, _times, ops = pages("low", 20, Chain(tuple(Turn(each, HALF) for each in people), (Turn(ON_CALL, HALF),)))
    assert [each for each in recipients if each is not None] == list(people)
    assert ops == 1


@pytest.mark.parametrize("severity", ["high", "crisis"])
def test_where_no_chain_is_set_up_ops_hears_at_once_and_again(severity: str) -> None:
    recipients, _times, ops = pages(severity, 3, Chain((), ()))
    assert recipients == [None] * 4
    assert ops == 4


def test_a_text_that_could_not_go_makes_it_the_next_ones_turn_at_once() -> None:
    first = alerts.raised(alert(), NOW, POLICY).alert
    moved = alerts.escalated(first, NOW, "withheld", POLICY)
    assert moved is not None
    assert (moved.alert.recipient, moved.alert.step, moved.why) == (B, 1, "withheld")


def test_a_channel_that_refuses_every_page_does_not_spin() -> None:
    """Each refusal moves it on at once within a round; between rounds a pause passes, however the refusals come."""
    moved = alerts.raised(alert("crisis"), NOW, POLICY)
    at, immediate = NOW, 0
    for _ in range(50):
        if moved.alert.recipient is None:
            assert moved.alert.deadline_at is not None
            assert moved.alert.deadline_at > at
            at = moved.alert.deadline_at
        else:
            immediate += 1
        following = alerts.escalated(moved.alert, at, "withheld" if moved.alert.recipient else "deadline", POLICY)
        assert following is not None
        moved = following
    assert at - NOW >= timedelta(hours=1)


def test_acknowledged_stops_all_pages_for_good() -> None:
    acked = alerts.acknowledged(alerts.raised(alert(), NOW, POLICY).alert)
    assert acked is not None
    assert acked.deadline_at is None
    assert alerts.escalated(acked, NOW, "deadline", POLICY) is None
    assert alerts.escalated(acked, NOW, "withheld", POLICY) is None
    assert alerts.reminded(acked, NOW, POLICY) is None
    assert alerts.acknowledged(acked) is None
    done = alerts.resolved(acked)
    assert done is not None
    assert alerts.resolved(done) is None
    assert alerts.acknowledged(done) is None


def test_a_reminder_pages_the_first_of_the_chain_again() -> None:
    far = replace(alert("low"), step=2, recipient=None, deadline_at=None)
    moved = alerts.reminded(far, NOW, POLICY, no_text_possible=True)
    assert moved is not None
    assert (moved.alert.recipient, moved.why, moved.alert.no_text_possible) == (A, "reminder", True)


@pytest.mark.parametrize(
    ("local", "wait", "expected"),
    [
        ((24, 10, 0), 30, (24, 10, 30)),
        ((24, 19, 50), 20, (25, 9, 10)),
        ((24, 22, 0), 30, (25, 9, 30)),
        ((24, 3, 0), 30, (24, 9, 30)),
        ((24, 9, 0), 11 * 60, (24, 20, 0)),
        ((24, 9, 0), 12 * 60, (25, 10, 0)),
    ],
)
def test_a_low_alert_waits_only_in_the_clinics_hours(
    local: tuple[int, int, int], wait: int, expected: tuple[int, int, int]
) -> None:
    def at(day: int, hour: int, minute: int) -> datetime:
        return (
            datetime(2026, 11, day, hour + 5, minute, tzinfo=UTC)
            if hour < 19
            else datetime(2026, 11, day + 1, hour - 19, minute, tzinfo=UTC)
        )

    assert POLICY.deadline("low", at(*local), timedelta(minutes=wait)) == at(*expected)


@given(st.uuids())
def test_codes_are_short_and_cannot_be_misread(alert_id: UUID) -> None:
    codes = list(islice(codes_for(alert_id), 200))
    assert len(set(codes)) == 200
    for code in codes:
        assert len(code) == 4
        assert not set(code) & set("01OIL")
        assert [each.isdigit() for each in code] == [False, True, False, True]


def test_every_code_is_reached() -> None:
    assert len(set(codes_for(UUID(int=5)))) == 33_856
