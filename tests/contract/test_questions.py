"""What the scheduler may have asked, the notifier can word and adherence can score: three lists that must be one."""

from __future__ import annotations

from services.adherence.data import instruments
from services.notifier.domain import templates
from services.scheduler.questions import questions

#: Templates with an item that are no question of a check-in.
_NO_QUESTIONS = ("dose", "ack", "clarify", "alert")
ASKED = {f"{instrument}/{item}" for instrument, items in questions().items() for item in items}


def test_every_question_has_its_wording_and_no_wording_waits_for_a_question() -> None:
    worded = {name for name in templates.load().texts if "/" in name and name.partition("/")[0] not in _NO_QUESTIONS}
    assert worded == ASKED


def test_every_question_has_its_range() -> None:
    assert {f"{one.id}/{item}" for one in instruments().values() for item in one.items} == ASKED
