"""Reads one text as an answer to one kind of question. Only a whole text counts; what is left over is for a person to read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Literal

from services.notifier.domain.lexicon import Phrases, raw, section
from services.notifier.domain.parse import Words

LEXICON = "lexicon_answers.toml"
AnswerWord = Literal["taken", "skipped", "later", "yes", "no", "score", "acknowledge", "resolve", "side-effect", "none"]
QuestionKind = Literal["dose", "check-in", "follow-up", "appointment", "monitoring", "question"]

_DOSE: tuple[AnswerWord, ...] = ("taken", "skipped", "later", "side-effect")
_COURTESY_ROUNDS = 4
_DAYS_OF = {
    "d": 1,
    "day": 1,
    "days": 1,
    "dia": 1,
    "dias": 1,
    "w": 7,
    "wk": 7,
    "wks": 7,
    "week": 7,
    "weeks": 7,
    "semana": 7,
    "semanas": 7,
}
_AMOUNT = re.compile(r"(?P<number>\d{1,3})?(?:(?<=\d)| |$)(?P<unit>d|days?|dias?|w|wks?|weeks?|semanas?)?$")
_CODE = re.compile(r"(?<!\w)([a-z]) ?([0-9]) ?([a-z]) ?([0-9])(?!\w)")


@dataclass(frozen=True)
class Answer:
    """What was answered. `score` with `score` only; `reason` is a slug, where a skipped dose says why; `side_effect`: the text
    also speaks of one."""

    word: AnswerWord
    score: int | None = None
    reason: str | None = None
    side_effect: bool = False


@cache
def _set(*path: str) -> Phrases:
    return section(LEXICON, *path)


@cache
def _ends(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    phrases = "|".join(sorted((phrase for language in raw(LEXICON)[name].values() for phrase in language), key=len, reverse=True))
    return re.compile(rf"^(?:{phrases})(?: |$)"), re.compile(rf"(?:^| )(?:{phrases})$")


def _bare(said: Words, name: str) -> list[Words]:
    """The text as it is, and with the words of that table taken off its ends, round by round."""
    start, end = _ends(name)
    text, found = said.text, [said]
    for _ in range(_COURTESY_ROUNDS):
        shorter = end.sub("", start.sub("", text)).strip()
        if shorter in {text, ""}:
            break
        text = shorter
        found.append(Words(text, (text,)))
    return found


def read(said: Words, kind: QuestionKind, instrument: str | None = None) -> Answer | None:
    """The answer that the text gives to a question of that kind, or None where the form does not fit."""
    if kind == "dose":
        return _dose(said)
    if kind in ("check-in", "question"):
        return _score(said, instrument)
    if kind in ("follow-up", "appointment", "monitoring"):
        return _yes_no(said)
    return None


def _dose(said: Words) -> Answer | None:
    sick = speaks_of_side_effect(said)
    for bare in _bare(said, "courtesy"):
        for word in _DOSE:
            if _set("dose", word).whole(bare):
                return Answer(word, reason=_reason(said) if word == "skipped" else None)
    first, _, rest = said.text.partition(" ")
    if sick and rest:
        for word in _DOSE[:-1]:
            if _set("dose", word).whole(Words(first, (first,))):
                return Answer(word, reason="side-effect" if word == "skipped" else None, side_effect=True)
    return Answer("side-effect") if sick else _skipped_because(said)


def _skipped_because(said: Words) -> Answer | None:
    """ "2 ran out", "skipped, forgot": the answer and its reason."""
    first, _, rest = said.text.partition(" ")
    reason = _reason(Words(rest, (rest,))) if rest else None
    skipped = _set("dose", "skipped").whole(Words(first, (first,)))
    return Answer("skipped", reason=reason) if skipped and reason else None


def _reason(said: Words) -> str | None:
    return next((slug for slug in raw(LEXICON)["reason"] if _set("reason", slug).heard(said)), None)


def speaks_of_side_effect(said: Words) -> bool:
    """Whether the text speaks of feeling unwell, whatever else it says."""
    return _set("side-effect").heard(said)


def _yes_no(said: Words) -> Answer | None:
    for bare in _bare(said, "courtesy"):
        if _set("no").whole(bare):
            return Answer("no")
        if _set("yes").whole(bare):
            return Answer("yes")
    return None


@cache
def _numbers() -> dict[str, int]:
    return {word: int(number) for number, words in raw(LEXICON)["number"].items() for word in words}


def instrument_range(instrument: str | None) -> tuple[int, int]:
    """Lowest and highest score of the instrument's items; 0 to 10 where it is not on file."""
    row = raw(LEXICON)["instrument"].get(instrument, {"lowest": 0, "highest": 10})
    return int(row["lowest"]), int(row["highest"])


def _score(said: Words, instrument: str | None) -> Answer | None:
    lowest, highest = instrument_range(instrument)
    text = re.sub(rf"(?<=\d) (?:(?:out of|of|de|sobre) )?{highest}$", "", said.text)
    for bare in (*_bare(Words(text, (text,)), "courtesy"), *_bare(Words(text, (text,)), "score-words")):
        number = int(bare.text) if re.fullmatch(r"[0-9]{1,2}", bare.text) else _numbers().get(bare.text)
        if number is not None and lowest <= number <= highest:
            return Answer("score", score=number)
    return None


def of_yesterday(said: Words) -> bool:
    """Whether the text says that it speaks of the day before."""
    return _set("yesterday").heard(said)


def without_yesterday(said: Words) -> Words:
    text = re.sub(r" +", " ", _set("yesterday").pattern.sub(" ", said.text)).strip()
    return Words(text, (text,))


def pause_for(said: Words, unless_said: timedelta) -> timedelta | None:
    """For how long the texts are to pause ("pause", "pause 3 days", "pausa 1 semana"), or None where it is no such wish."""
    if not _set("texts", "pause").whole(said):
        return None
    found = _AMOUNT.search(said.text)
    number, unit = (found["number"], found["unit"]) if found else (None, None)
    if number is None and unit is None:
        return unless_said
    return timedelta(days=int(number or 1) * _DAYS_OF.get(unit or "d", 1)) or unless_said


def wants_texts_again(said: Words) -> bool:
    return _set("texts", "resume").whole(said)


def language_wish(said: Words) -> Literal["en", "es"] | None:
    if _set("language", "es").whole(said):
        return "es"
    return "en" if _set("language", "en").whole(said) else None


def alert_code(said: Words) -> str | None:
    """An alert's code in a clinician's text, however it is cased and spaced ("a7k2", "A7 K2 done")."""
    found = _CODE.search(said.text)
    return "".join(found.groups()).upper() if found else None


def staff_word(said: Words) -> Literal["acknowledge", "resolve"] | None:
    """What a clinician wants with an alert: `resolve` ("done"), `acknowledge` ("ok"), or None where it is neither, once a code
    has been taken out."""
    text = re.sub(r" +", " ", _CODE.sub(" ", said.text)).strip()
    bare = Words(text, (text,))
    if any(_set("staff", "resolve").whole(each) for each in _bare(bare, "courtesy")):
        return "resolve"
    return "acknowledge" if _set("staff", "acknowledge").whole(bare) or not text else None
