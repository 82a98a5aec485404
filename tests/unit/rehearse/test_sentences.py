"""Every reason of the gate, and every event that may cause a text, has a sentence of its own."""

from __future__ import annotations

from typing import get_args

from services.notifier.domain.gate import Why
from services.notifier.domain.message import STATES
from steadypath.rehearse import sentences
from steadypath.rehearse.replies import KINDS


def test_every_reason_of_the_gate_is_a_sentence_of_its_own() -> None:
    said = [sentences.not_sent("withheld", why) for why in get_args(Why)]
    assert all(one.endswith(".") and one != sentences.not_sent("withheld", None) for one in said)


def test_every_state_and_every_cause_is_one_sentence() -> None:
    said = [sentences.not_sent(state, None) for state in STATES] + [sentences.sent(kind) for kind in KINDS]
    assert all(one.endswith(".") and "\n" not in one for one in said)
