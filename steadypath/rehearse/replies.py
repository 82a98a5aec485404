"""A replies file: who answers what in a rehearsal, and when. Without one nobody answers.

Entries are `{on: dose-due, nth: 1, after: PT5M, text: "1"}` (`nth`: which text of that kind to one patient or about them, from 1,
or `every`) or `{at: 2027-03-14T09:30, patient: maya, text: "..."}` (local time of the patient). Every entry that fits
answers. `{code}` in a text stands for the code of the alert that is answered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from services.adherence.domain.codes import DIGITS, LETTERS
from shared.accepted import accepted_of, element_of
from shared.defaults import duration
from shared.events.registry import EVENTS
from steadypath.enrol import files, strict_yaml
from steadypath.enrol.outcome import Refusal
from steadypath.errors import CommandError
from steadypath.rehearse.cast import Player

KINDS = frozenset(event.type for event in EVENTS.values())
_CODE = re.compile(rf"\b[{LETTERS}][{DIGITS}][{LETTERS}][{DIGITS}]\b")
_AT_MOST = timedelta(days=366)
_ACCEPTED = (
    'a list of {on: dose-due, nth: 1 (or every), after: PT5M, text: "1"} and {at: 2027-03-14T09:30, patient: ID, text: "1"}'
)


def _words(value: object) -> object:
    """A bare digit is the digit that a patient would type."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _kind(value: str) -> str:
    if value not in KINDS:
        raise PydanticCustomError(
            "kind", "unknown", {"expected": "the event that causes a text, such as dose-due or check-in-due"}
        )
    return value


def _wait(value: object) -> object:
    accepted = "an ISO 8601 duration such as PT5M, up to P366D"
    try:
        found = duration(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        found = None
    if found is None or found > _AT_MOST:
        raise PydanticCustomError("duration", "no duration", {"expected": accepted})
    return found


def _local(value: object) -> object:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise PydanticCustomError("local", "no time", {"expected": "a local date and time such as 2027-03-14T09:30"})
    return found


_Text = Annotated[str, BeforeValidator(_words), Field(min_length=1, max_length=1600)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class On(_Entry):
    """An answer to a text."""

    on: Annotated[str, Field(max_length=64), BeforeValidator(lambda value: _kind(str(value)))]
    nth: Annotated[int, Field(strict=True, ge=1)] | Literal["every"]
    after: Annotated[timedelta, BeforeValidator(_wait)] = timedelta(minutes=5)
    text: _Text


class At(_Entry):
    """A text out of the blue."""

    at: Annotated[datetime, BeforeValidator(_local)]
    patient: Annotated[str, BeforeValidator(_words), Field(min_length=1, max_length=64)]
    text: _Text


def read(path: str) -> tuple[On | At, ...]:
    """The entries of a replies file. Raises CommandError naming file, entry, element and what would be accepted."""
    try:
        return tuple(_entry(number, raw) for number, raw in enumerate(_list(strict_yaml.yaml_whole(files.read(path).text))))
    except Refusal as refusal:
        where = f"{path}: {refusal.element}" if refusal.element else path
        raise CommandError(f"{where}: {refusal} Accepted: {refusal.accepted or _ACCEPTED}.") from None


def _list(whole: object) -> list[Any]:
    if not isinstance(whole, list):
        raise Refusal(None, "This is no list.", _ACCEPTED)
    return whole


def _entry(number: int, raw: Any) -> On | At:
    if not isinstance(raw, dict) or ("on" in raw) == ("at" in raw):
        raise Refusal(f"[{number}]", "An entry has either on or at.", _ACCEPTED)
    try:
        return On.model_validate(raw) if "on" in raw else At.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        accepted = (first.get("ctx") or {}).get("expected") or accepted_of(first)
        place = f"[{number}].{element_of(first['loc'][:1])}"
        raise Refusal(place, "This is not accepted here.", str(accepted)) from None


@dataclass(frozen=True)
class Heard:
    """A text that went out: its cause, to whom, and which patient it is about. `at` is aware."""

    at: datetime
    kind: str
    patient: str
    to: str
    body: str


@dataclass(frozen=True, order=True)
class Answer:
    """A text to be sent from a phone. `at` is UTC; `patient` the rehearsal's id of whom it is about."""

    at: datetime
    order: int
    sender: str = field(compare=False)
    patient: str = field(compare=False)
    text: str = field(compare=False)


@dataclass
class Script:
    """Turns texts that went out into answers that are due. Pure but for its counting."""

    entries: tuple[On | At, ...]
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _made: int = 0

    @property
    def listens(self) -> bool:
        """Whether any entry answers a text."""
        return any(isinstance(one, On) for one in self.entries)

    def planned(self, players: Iterable[Player]) -> list[Answer]:
        """The answers at a time of their own. Raises CommandError for a patient who is not in the rehearsal."""
        known = {name: one for one in players for name in (one.id, one.called) if name}
        return [self._at(number, one, known) for number, one in enumerate(self.entries) if isinstance(one, At)]

    def _at(self, number: int, one: At, known: dict[str, Player]) -> Answer:
        player = known.get(one.patient)
        if player is None or player.number is None:
            raise CommandError(
                f"replies: [{number}].patient: nobody of the rehearsal has this id. Accepted: {', '.join(known)[:200]}."
            )
        at = one.at if one.at.tzinfo else one.at.replace(tzinfo=ZoneInfo(player.zone))
        return self._answer(at, player.number, player.id, one.text)

    def hear(self, text: Heard) -> list[Answer]:
        """What is answered to a text that has just gone out."""
        self._counts[text.patient, text.kind] += 1
        nth = self._counts[text.patient, text.kind]
        fitting = [one for one in self.entries if isinstance(one, On) and one.on == text.kind and one.nth in (nth, "every")]
        code = _CODE.search(text.body)
        return [
            self._answer(text.at + one.after, text.to, text.patient, one.text.replace("{code}", code.group() if code else ""))
            for one in fitting
        ]

    def _answer(self, at: datetime, sender: str, patient: str, text: str) -> Answer:
        self._made += 1
        # In UTC: of one zone Python compares wall times, which a night of change has twice or not at all.
        return Answer(at.astimezone(UTC), self._made, sender, patient, text)
