"""What the provider carried joined with what the notifier says of it: where the two do not fit, nothing is made up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from steadypath.enrol.intake import PatientIntake
from steadypath.enrol.sources import Lot
from steadypath.errors import CommandError
from steadypath.phone.keywords import ANSWERS
from steadypath.rehearse.cast import Cast, Player
from steadypath.rehearse.gather import Gatherer
from steadypath.rehearse.phones import Carried, Phones
from steadypath.rehearse.story import Text

NOON = datetime(2027, 3, 12, 12, tzinfo=UTC)
NUMBER = "+12025550141"
MAYA = Player("maya", "America/New_York", NUMBER, Lot(PatientIntake("maya"), whole=True))


@dataclass(frozen=True)
class Told:
    """Stands in for both sides. `said`: the notifier's texts of maya."""

    carried: Sequence[Carried]
    said: Sequence[Mapping[str, Any]] = ()

    async def texts(self) -> Sequence[Carried]:
        return self.carried

    async def messages_of(self, patient: str) -> Sequence[Mapping[str, Any]]:
        return self.said

    async def message_of(self, sid: str) -> None:
        return None


def out(sid: str, body: str) -> Carried:
    return Carried(sid, NOON, "outbound-api", "+15005550006", NUMBER, body)


def dose(sid: str | None, status: str = "delivered") -> Mapping[str, Any]:
    said = {"at": NOON.isoformat(), "kind": "dose", "cause": "dose-due", "why": None, "person": None}
    return said | {"status": status, "provider_sid": sid}


def gathered(told: Told) -> list[Text]:
    return asyncio.run(Gatherer(Cast((MAYA,), (), (), ()), cast(Phones, told), "America/New_York").texts())


def test_a_text_has_the_providers_words() -> None:
    (text,) = gathered(Told([out("SM1", "Your 08:00 reminder.")], [dose("SM1")]))
    assert (text.status, text.text, text.kind) == ("sent", "Your 08:00 reminder.", "dose-due")


def test_what_twilio_answers_by_itself_is_known_by_its_words() -> None:
    texts = gathered(Told([out(f"SM{number}", body) for number, body in enumerate(ANSWERS)]))
    assert [text.kind for text in texts] == ["patient-opted-out", "patient-opted-in", "reply-received"]
    assert {text.why for text in texts} == {"Twilio itself answers this word."}


@pytest.mark.parametrize(
    "told",
    [
        Told([out("SM1", "Your 08:00 reminder.")], [dose(None, "unconfirmed")]),
        Told([], [dose("SM1")]),
        Told([out("SM1", "Your 08:00 reminder.")], [dose("SM1"), dose("SM1")]),
    ],
)
def test_where_the_two_do_not_fit_nothing_is_said(told: Told) -> None:
    with pytest.raises(CommandError, match="without ending services"):
        gathered(told)
