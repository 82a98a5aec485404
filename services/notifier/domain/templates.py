"""From a template's name to the body of one text: wording by language and privacy, values from ids and instants, one segment.

The wording is data (`templates.toml`, read once by `load`); what may fill it is decided here, so that nothing but times, dates,
codes, links, counts, fixed words and the patient's own labels can ever stand in a text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from uuid import UUID

from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.quiet import zone_of

#: GSM 03.38, basic table: one septet each. Those of the extension table (^{}[]~|\ and the euro sign) cost two; we use none.
GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
ONE_SEGMENT = 160
_MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class NoTemplateError(LookupError):
    """There is no wording for this; the text is withheld as `no-template`. Says the template's name, never a value."""


def fits(body: str) -> bool:
    """Whether the text is one segment in GSM-7."""
    return len(body) <= ONE_SEGMENT and GSM7.issuperset(body)


@dataclass(frozen=True)
class Templates:
    """All wording: name -> language -> privacy -> text, and the fixed words."""

    texts: Mapping[str, Mapping[str, Mapping[str, str]]]
    words: Mapping[str, Mapping[str, Mapping[str, str]]]

    def has(self, name: str) -> bool:
        return name in self.texts

    def body(self, name: str, facts: ContactFacts, params: Mapping[str, Any], *, zone: str | None, link: str) -> str:
        """The text for this person. `zone` is where dates and times are told; `link` is the board's address.

        Raises NoTemplateError where there is no such template, or a value that it needs is not there.
        """
        texts = self.texts.get(name, {}).get(facts.language)
        if texts is None:
            raise NoTemplateError(name)
        values = self._values(facts, params, zone, link)
        named = _fill(texts["named"], values) if facts.privacy == "named" and "named" in texts else None
        if named is not None and fits(named):
            return named
        body = _fill(texts["discreet"], values)
        if body is None:
            raise NoTemplateError(name)
        return body

    def _values(self, facts: ContactFacts, params: Mapping[str, Any], zone: str | None, link: str) -> dict[str, str]:
        """What the braces may hold. A value that cannot be told truthfully is left out, and its template does not go."""
        values = {
            "crisis_line": facts.crisis_line,
            "link": link,
            "phone": f", {facts.phone_for_help}" if facts.phone_for_help else "",
        }
        labels = [facts.labels.get(UUID(each)) for each in params.get("medications", ())]
        if labels and all(labels):
            values["labels"] = ", ".join(label for label in labels if label)
        values |= {name: str(params[name]) for name in ("code", "count", "low", "high", "choices") if name in params}
        if "severity" in params:
            values["severity"] = self.words["severity"][facts.language][params["severity"]]
        if "alert_kind" in params:
            values["alert_kind"] = self.words["alert"][facts.language][params["alert_kind"]]
        return values | _times(params, facts.language, zone)


def _times(params: Mapping[str, Any], language: str, zone: str | None) -> dict[str, str]:
    """`wall` ("08:00") is told as it stands; `at` (an instant, ISO 8601) needs a zone."""
    told: dict[str, str] = {}
    if "at" in params and zone is not None:
        local = datetime.fromisoformat(params["at"]).astimezone(UTC).astimezone(zone_of(zone))
        told = {"time": _clock(local.time(), language), "date": _day(local.date(), language)}
    if "wall" in params:
        told["time"] = _clock(time.fromisoformat(params["wall"]), language)
    return told


def _clock(wall: time, language: str) -> str:
    if language == "es":
        return f"{wall.hour}:{wall.minute:02}"
    return f"{wall.hour % 12 or 12}:{wall.minute:02} {'am' if wall.hour < 12 else 'pm'}"


def _day(day: date, language: str) -> str:
    return f"{day.day}/{day.month}" if language == "es" else f"{_MONTHS_EN[day.month - 1]} {day.day}"


def _fill(text: str, values: Mapping[str, str]) -> str | None:
    try:
        return text.format_map(values)
    except KeyError:
        return None


def load(source: Path | None = None) -> Templates:
    """Reads the wording that ships with the service."""
    raw = tomllib.loads((source or Path(__file__).parent.parent / "templates.toml").read_text("utf-8"))
    return Templates(words=raw.pop("words"), texts=raw)
