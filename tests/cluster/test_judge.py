"""The judge itself: a row doubled, missing, changed or too early on the ledger must never pass. Runs with `make test`."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cluster.judge import Due, Left, Said, judge
from tests.support.cluster_broker import KAFKA_VERSION

AT = datetime(2026, 12, 7, 13, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]

DUE = [Due("ann", f"o{n}", "dose-due", AT + timedelta(hours=4 * n)) for n in range(4)] + [Due("bo", "o9", "check-in-due", AT)]
LEFT = [Left("ann", "w", AT - timedelta(hours=1)), Left("ann", "s0", AT), Left("ann", "s1", AT + timedelta(hours=4))]
LEFT += [Left("bo", "s9", AT)]
SAID = [
    Said("ann", None, "welcome", "delivered", "w"),
    Said("ann", "o0", "dose", "delivered", "s0"),
    Said("ann", "o1", "dose", "accepted", "s1"),
    Said("ann", "o2", "dose", "withheld", None, "late"),
    Said("ann", "o3", "dose", "unconfirmed", None),
    Said("bo", "o9", "check-in", "sent", "s9"),
]


def test_a_good_run_has_no_fault_and_counts_every_due_item() -> None:
    verdict = judge(DUE, LEFT, SAID)
    assert verdict.faults == []
    assert verdict.counts == {"sent": 3, "withheld": 1, "unconfirmed": 1}


@pytest.mark.parametrize("row", LEFT[1:], ids=lambda row: str(row.sid))
def test_a_doubled_row_is_a_fault_under_the_same_sid_and_under_another(row: Left) -> None:
    assert judge(DUE, [*LEFT, row], SAID).faults
    # ann has one text in doubt, so one stray text of hers is accounted for; two are not.
    strays = [replace(row, sid=f"again-{n}") for n in range(2)]
    assert judge(DUE, [*LEFT, *strays], SAID).faults


def test_a_second_text_at_the_same_instant_is_more_than_had_come_due_whoever_claims_it() -> None:
    again = Left("ann", "s0-again", AT)
    verdict = judge(DUE, [*LEFT, again], SAID)
    assert any("more than had come due" in fault for fault in verdict.faults)


@pytest.mark.parametrize("row", LEFT[1:], ids=lambda row: str(row.sid))
def test_a_missing_row_is_a_fault(row: Left) -> None:
    faults = judge(DUE, [text for text in LEFT if text != row], SAID).faults
    assert any("not on the ledger" in fault for fault in faults)


@pytest.mark.parametrize("one", SAID[1:], ids=lambda one: str(one.occurrence))
def test_a_due_item_that_nobody_mentions_is_missing(one: Said) -> None:
    faults = judge(DUE, LEFT, [other for other in SAID if other != one]).faults
    assert any("missing" in fault for fault in faults)


def test_what_the_scheduler_says_has_expired_is_not_missing() -> None:
    said = [one for one in SAID if one.occurrence != "o2"]
    assert judge(DUE, LEFT, said, frozenset({"o2"})).faults == []


@pytest.mark.parametrize("status", ["queued", "attempting"])
def test_what_is_still_under_way_is_not_accounted_for(status: str) -> None:
    said = [replace(one, status=status) if one.occurrence == "o2" else one for one in SAID]
    assert any(fault.startswith("still") for fault in judge(DUE, LEFT, said).faults)


def test_what_was_never_due_too_early_withheld_and_sent_or_claimed_twice_is_a_fault() -> None:
    assert judge(DUE[1:], LEFT, SAID).faults
    assert judge(DUE, [replace(text, at=AT - timedelta(minutes=1)) for text in LEFT], SAID).faults
    assert judge(DUE, LEFT, [replace(one, status="withheld") for one in SAID]).faults
    assert judge(DUE, LEFT, [replace(one, sid="s0") if one.occurrence == "o1" else one for one in SAID]).faults
    assert judge(DUE, [replace(text, patient="bo") if text.sid == "s1" else text for text in LEFT], SAID).faults


def test_the_release_of_kafka_is_the_same_wherever_it_is_named() -> None:
    assert re.search(r"<kafka.version>([^<]+)<", (ROOT / "pom.xml").read_text("utf-8"))[1] == KAFKA_VERSION  # type: ignore[index]
    assert f"apache/kafka:{KAFKA_VERSION}" in (ROOT / "docker-compose.yml").read_text("utf-8")
