"""What kind of thing an entry of a rehearsal is: its mark, and whether the cap counts it."""

from __future__ import annotations

from dataclasses import dataclass

from steadypath.rehearse.story import Reply, Text


@dataclass(frozen=True)
class Mark:
    """What stands for a kind of entry: one letter in a grid, a word beside it, a name for style sheets."""

    letter: str
    word: str
    name: str


REPLY = Mark(">", "the patient writes", "reply")
_TEAM_REPLY = Mark(">", "the care team writes", "reply")
CARE_TEAM = "T"
_OTHER = "o"
#: By the event that caused a text to a patient.
_MARKS = {
    "dose-due": Mark("D", "dose", "dose"),
    "check-in-due": Mark("C", "check-in", "check-in"),
    "follow-up-due": Mark("F", "follow-up", "follow-up"),
    "appointment-reminder-due": Mark("A", "appointment", "appointment"),
    "monitoring-due": Mark("M", "monitoring", "monitoring"),
    "education-due": Mark("E", "note", "note"),
    "contact-changed": Mark("W", "welcome", "welcome"),
    "message-requested": Mark("Q", "question", "question"),
    "reply-received": Mark("R", "answer", "answer"),
    "risk-heard": Mark("S", "safe reply", "safe-reply"),
}
#: By the event that caused a text to the care team.
_HEARD = {
    "alert-raised": "alert",
    "alert-escalated": "escalation",
    "alert-acknowledged": "answer",
    "reply-received": "answer",
    "risk-heard": "risk wording",
}
#: Events that cause nothing but answers; of others the text itself says whether it is one.
_ANSWERS = frozenset({"reply-received", "risk-heard", "crisis-flagged", "patient-opted-in", "patient-opted-out"})
_ANSWERS |= {"texts-paused", "texts-resumed", "preference-changed"}


def mark_of(what: Text | Reply) -> Mark:
    """A kind that has no mark of its own is called by its name."""
    if isinstance(what, Reply):
        return REPLY if what.by == "patient" else _TEAM_REPLY
    spoken = what.kind.replace("-", " ")
    if what.to == "care-team":
        return Mark(CARE_TEAM, _HEARD.get(what.kind, spoken), "care-team")
    if what.kind in _MARKS and not (what.answer and what.kind == "message-requested"):
        return _MARKS[what.kind]
    return _MARKS["reply-received"] if what.answer or what.kind in _ANSWERS else Mark(_OTHER, spoken, "other")


def was_said(what: Text | Reply) -> bool:
    """Whether it went to the patient."""
    return isinstance(what, Text) and what.to == "patient" and what.status == "sent"


def was_heard(what: Text | Reply) -> bool:
    """Whether it went to the care team."""
    return isinstance(what, Text) and what.to == "care-team" and what.status == "sent"


def counts(what: Text | Reply) -> bool:
    """Whether the cap on the patient's day counts it: what the clinic begins (services/notifier/situations.py COUNTED)."""
    return isinstance(what, Text) and was_said(what) and not what.answer and what.kind not in _ANSWERS
