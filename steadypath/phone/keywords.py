"""The words that Twilio answers itself on a long code, and what it says. Pure.

Source: Twilio, "Advanced Opt-Out", default keywords of long codes (STOP, UNSUBSCRIBE, END, QUIT, STOPALL, REVOKE, OPTOUT,
CANCEL; START, UNSTOP, YES; HELP, INFO). Only the whole word counts, in any case: "STOP please" is not one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OptOutType = Literal["STOP", "START", "HELP"]

_WORDS: dict[str, OptOutType] = {
    **dict.fromkeys(("stop", "unsubscribe", "end", "quit", "stopall", "revoke", "optout", "cancel"), "STOP"),
    **dict.fromkeys(("start", "unstop", "yes"), "START"),
    **dict.fromkeys(("help", "info"), "HELP"),
}
_STOPPED = (
    "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe."
)
_STARTED = (
    "You have successfully been re-subscribed to messages from this number. Reply HELP for help. Reply STOP to unsubscribe. "
    "Msg&Data Rates May Apply."
)
_HELP = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
#: Which of its words each of its own texts answers.
ANSWERS: dict[str, OptOutType] = {_STOPPED: "STOP", _STARTED: "START", _HELP: "HELP"}


@dataclass(frozen=True, slots=True)
class Handling:
    """What Twilio does by itself with a word: the type on the webhook, the state after it, its own answer if any."""

    kind: OptOutType | None
    opted_out: bool
    answer: str | None


def handle(body: str, *, opted_out: bool) -> Handling:
    """`opted_out` is the state before. A second STOP gets no second confirmation; YES from one who never left gets none."""
    kind = _WORDS.get(body.strip().lower())
    if kind == "STOP":
        return Handling(kind, opted_out=True, answer=None if opted_out else _STOPPED)
    if kind == "START":
        return Handling(kind, opted_out=False, answer=_STARTED if opted_out else None)
    if kind == "HELP":
        return Handling(kind, opted_out=opted_out, answer=_HELP)
    return Handling(None, opted_out=opted_out, answer=None)
