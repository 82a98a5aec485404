"""The scheduler's data names rule sets, adherence's data holds them: every name that may be said has a rule."""

from __future__ import annotations

from services.adherence.data import gap_rules
from services.scheduler.rule_sets import all_rule_sets


def test_every_rule_set_that_the_scheduler_may_name_has_its_rule() -> None:
    assert all_rule_sets() <= set(gap_rules())


def test_no_rule_waits_for_a_name_that_nobody_says() -> None:
    assert set(gap_rules()) <= all_rule_sets()
