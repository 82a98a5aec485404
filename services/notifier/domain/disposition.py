"""What one inbound text is: exactly one disposition, decided in the order in which a mistake would do most harm.

Risk wording first, whatever else the text says. Then the wish to end the texts, a wrong number, to begin again, help. Only then
what it may answer. What nothing fits is for a person to read; nothing is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from services.notifier.domain import answers, optout, risk
from services.notifier.domain.conversation import Binding
from services.notifier.domain.optout import Wish
from services.notifier.domain.parse import Words
from services.notifier.domain.risk import Category

Disposition = Literal[
    "risk",
    "opt-out",
    "opt-in",
    "help",
    "answer",
    "alert-answer",
    "pause-texts",
    "resume-texts",
    "preference",
    "side-effect",
    "wrong-number",
    "not-understood",
    "unknown-number",
]
_OF_WISH: dict[Wish, Disposition] = {
    "keyword": "opt-out",
    "own-words": "opt-out",
    "wrong-number": "wrong-number",
    "start": "opt-in",
    "help": "help",
}


@dataclass(frozen=True)
class Judgement:
    """`disposition` names the text; `risk` and `wish` may both be there: then the safe reply goes first and the wish stands."""

    disposition: Disposition
    risk: Category | None = None
    wish: Wish | None = None
    #: With `pause-texts`.
    pause: timedelta | None = None
    #: With `preference`.
    language: Literal["en", "es"] | None = None
    #: The question that it answers; also beside risk, where the answer itself is the risk wording.
    binding: Binding | None = None


def judge(said: Words, opt_out_type: str | None, binding: Binding | None, pause_unless_said: timedelta) -> Judgement:
    """Judges a patient's text. `opt_out_type` is Twilio's own word for it; `binding` the question that it would answer."""
    wish = optout.wish(said, opt_out_type)
    heard = risk.hear(said) or _risk_of(binding)
    if heard is not None:
        return Judgement("risk", risk=heard, wish=wish, binding=binding)
    if wish is not None:
        return Judgement(_OF_WISH[wish], wish=wish)
    return _about_texts(said, pause_unless_said) or _about_care(said, binding)


def _risk_of(binding: Binding | None) -> Category | None:
    if binding is None or binding.answer.score is None:
        return None
    return risk.risk_in_answer(binding.question.instrument or "", binding.question.item or "", binding.answer.score)


def _about_texts(said: Words, pause_unless_said: timedelta) -> Judgement | None:
    pause = answers.pause_for(said, pause_unless_said)
    if pause is not None:
        return Judgement("pause-texts", pause=pause)
    if answers.wants_texts_again(said):
        return Judgement("resume-texts")
    language = answers.language_wish(said)
    return Judgement("preference", language=language) if language is not None else None


def _about_care(said: Words, binding: Binding | None) -> Judgement:
    if binding is not None:
        return Judgement("side-effect" if binding.answer.word == "side-effect" else "answer", binding=binding)
    return Judgement("side-effect" if answers.speaks_of_side_effect(said) else "not-understood")
