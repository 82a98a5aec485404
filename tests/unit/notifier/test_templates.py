"""Every wording, filled with the longest values that can occur: GSM-7, one segment, discreet, no advice, digits for answers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.templates import GSM7, NoTemplateError, fits, load

TEMPLATES = load()
LINK = "https://reminders.longest-clinic-name.example/board"
MEDICINE = UUID(int=7)
LONGEST = {
    "wall": "10:30",
    "at": "2026-12-28T17:30:00+00:00",
    "code": "WW9W",
    "count": 200,
    "low": 10,
    "high": 10,
    "choices": "1 the 10:30 one, 2 the 11:30 one, 3 neither",
}
ZONE = "America/New_York"
CASES = [(name, language) for name in TEMPLATES.texts for language in ("en", "es")]
#: What would tell a bystander what this is about.
TELLING = re.compile(
    r"medic|drug|dose|pill|tablet|pastilla|\bmg\b|lithium|depress|anxi|bipolar|psych|psiq|mental|disorder|diagnos|therap|score|phq|gad"
)
#: What would be clinical advice (rule 4).
ADVICE = re.compile(r"you should|\btake (your|it|two|a)\b|double|stop taking|tome\b|debe |increase|reduce|skip your")
KEYWORDS = re.compile(r"\b(reply|responda) (yes|cancel|end|quit|stopall|si)\b", re.IGNORECASE)


def facts(**changes: Any) -> ContactFacts:
    values: dict[str, Any] = {
        "id": UUID(int=1),
        "role": "patient",
        "clinic_id": UUID(int=2),
        "number": "+12125550100",
        "name": "N",
        "language": "en",
        "privacy": "discreet",
        "country": "US",
        "zone": None,
        "consent": True,
        "opted_out": False,
        "number_suspect": False,
        "texts_paused": "no",
        "paused_until": None,
        "verified": True,
        "last_inbound_at": None,
        "welcome_sent": False,
        "contact_version": 1,
        "sender": "+12125550101",
        "clinic_name": "C",
        "quiet_from": "20:00",
        "quiet_until": "09:00",
        "texts_a_day": 6,
        "alerts_an_hour": 10,
        "dose_late_after": timedelta(minutes=60),
        "conversation_runs_for": timedelta(minutes=15),
        "crisis_line": "call or text 988, or call 911",
        "phone_for_help": "+1 212 555 0102",
        "labels": {MEDICINE: "the blue capsule"},
    }
    return ContactFacts(**(values | changes))


def bodies(name: str, language: str, privacy: str = "discreet") -> Any:
    """The body once for every fixed word, since the longest one counts."""
    for severity in TEMPLATES.words["severity"][language]:
        for kind in TEMPLATES.words["alert"][language]:
            params = LONGEST | {"severity": severity, "alert_kind": kind, "medications": [str(MEDICINE)]}
            yield TEMPLATES.body(name, facts(language=language, privacy=privacy), params, zone=ZONE, link=LINK)


@pytest.mark.parametrize("privacy", ["discreet", "named"])
@pytest.mark.parametrize(("name", "language"), CASES)
def test_one_gsm7_segment(name: str, language: str, privacy: str) -> None:
    for body in bodies(name, language, privacy):
        assert GSM7.issuperset(body), set(body) - GSM7
        assert len(body) <= 160, (len(body), body)


@pytest.mark.parametrize(("name", "language"), CASES)
def test_discreet_text_tells_a_bystander_nothing(name: str, language: str) -> None:
    if name.startswith("alert"):
        pytest.skip("to the care team: kinds in fixed words, no name")
    for body in bodies(name, language):
        assert not TELLING.search(body.lower()), body
        assert "blue capsule" not in body


@pytest.mark.parametrize(("name", "language"), CASES)
def test_no_advice_and_no_keyword_as_an_answer(name: str, language: str) -> None:
    for body in bodies(name, language):
        assert not ADVICE.search(body.lower()), body
        assert not KEYWORDS.search(body), body


def test_dose_asks_for_digits() -> None:
    body = TEMPLATES.body("dose", facts(), {"wall": "08:00"}, zone=ZONE, link=LINK)
    assert body == "Your 8:00 am reminder. Reply 1 when done, 2 to skip."


def test_named_uses_the_label_only_where_chosen_and_complete() -> None:
    params = {"wall": "08:00", "medications": [str(MEDICINE)]}
    assert "blue capsule" in TEMPLATES.body("dose", facts(privacy="named"), params, zone=ZONE, link=LINK)
    assert "blue capsule" not in TEMPLATES.body("dose", facts(), params, zone=ZONE, link=LINK)
    half_labelled = {"wall": "08:00", "medications": [str(MEDICINE), str(UUID(int=8))]}
    assert "blue capsule" not in TEMPLATES.body("dose", facts(privacy="named"), half_labelled, zone=ZONE, link=LINK)


def test_label_that_would_not_fit_one_segment_gives_way_to_the_discreet_text() -> None:
    for label in ("x" * 150, "pastilla número uno"):
        body = TEMPLATES.body(
            "dose",
            facts(privacy="named", labels={MEDICINE: label}),
            {"wall": "08:00", "medications": [str(MEDICINE)]},
            zone=ZONE,
            link=LINK,
        )
        assert label not in body
        assert fits(body)


def test_dates_are_told_in_the_patients_zone() -> None:
    params = {"at": "2026-12-08T02:30:00+00:00"}
    assert "Dec 7 at 9:30 pm" in TEMPLATES.body("appointment", facts(), params, zone=ZONE, link=LINK)
    assert "7/12 a las 21:30" in TEMPLATES.body("appointment", facts(language="es"), params, zone=ZONE, link=LINK)


@pytest.mark.parametrize(("name", "params"), [("no/such", {}), ("dose", {}), ("appointment", {"code": "A1B2"})])
def test_without_wording_or_value_there_is_no_text(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(NoTemplateError):
        TEMPLATES.body(name, facts(), params, zone=ZONE, link=LINK)


def test_alert_holds_its_code_once() -> None:
    params = {"code": "A7K2", "severity": "low", "alert_kind": "follow-up-unrecorded"}
    body = TEMPLATES.body("alert", facts(role="care-team"), params, zone=ZONE, link=LINK)
    assert body.count("A7K2") == 1
    assert "unrecorded" in body
    assert "missed" not in body
