"""What a text says about getting texts at all: stop, start, help, or a wrong number. The law's words first, then plain wishes.

"Any reasonable wording" ends the texts (47 CFR 64.1200(a)(10)); what may mean the medicine, a symptom or an appointment does
not: a person reads it. Only START and UNSTOP, alone, begin them again: chatter never does, and YES does not either, although
Twilio takes it for an opt-in, because patients answer YES to other things. Where Twilio says OptOutType=START, it opted the
number in and we follow.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from services.notifier.domain.lexicon import Phrases, compile_phrases, raw, section
from services.notifier.domain.parse import Words

LEXICON = "lexicon_optout.toml"
Wish = Literal["keyword", "own-words", "wrong-number", "start", "help"]
OptOutType = Literal["STOP", "START", "HELP"]


@cache
def _set(name: str) -> Phrases:
    return section(LEXICON, name)


@cache
def _when() -> Phrases:
    macros = raw(LEXICON)["macros"]
    return compile_phrases([macros["when"]], macros)


def wish(said: Words, opt_out_type: str | None = None) -> Wish | None:
    """What the text wishes for, or None where it is about something else. `opt_out_type` is Twilio's own word, which decides."""
    told: dict[str | None, Wish] = {"STOP": "keyword", "START": "start", "HELP": "help"}
    if opt_out_type in told:
        return told[opt_out_type]
    if _set("keyword").whole(said):
        return "keyword"
    if _set("start").whole(said):
        return "start"
    if _set("help").whole(said):
        return "help"
    return _in_own_words(said)


def _in_own_words(said: Words) -> Wish | None:
    if _set("wrong-number").heard(said):
        return "wrong-number"
    if _set("courteous").whole(said):
        return "own-words"
    heard = _set("own-words").heard(said, unless=_set("not"))
    return "own-words" if heard and not _when().heard(said) else None


def twilio_answers(body: str, opt_out_type: str | None) -> bool:
    """Whether Twilio has answered this text itself (its default keywords, or Advanced Opt-Out): then we must not answer too."""
    if opt_out_type:
        return True
    keywords = raw(LEXICON)["twilio"]
    return body.strip().upper() in {*keywords["stop"], *keywords["start"], *keywords["help"]}
