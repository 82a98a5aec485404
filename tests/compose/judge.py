"""The judge: the phone simulator's ledger against what was due. Pure; knows nothing of how a text came about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.compose.cohort import Due

#: What a text on no phone may be, for a person to see: in doubt (it may have left: never sent again), or kept back.
ACCOUNTED_FOR = frozenset({"unconfirmed", "withheld", "expired"})


@dataclass(frozen=True)
class Verdict:
    """Each due item is in exactly one of the four lists; `strays` are dose texts that nobody was due."""

    once: list[Due]
    twice: list[Due]
    early: list[Due]
    missing: list[Due]
    strays: list[str]
    seconds_late: list[float]

    @property
    def slowest(self) -> float:
        return max(self.seconds_late, default=0.0)


def judge(dues: Iterable[Due], ledger: Iterable[Mapping[str, Any]], *, stem: str = "Quaxalor") -> Verdict:
    """`ledger`: the simulator's lines. A dose text is one that holds a planted label, all of which begin with `stem`."""
    texts: dict[tuple[str, str], list[datetime]] = {}
    for line in ledger:
        if line["direction"] != "inbound" and stem in line["body"]:
            label = stem + line["body"].partition(stem)[2].partition("e.")[0] + "e"
            texts.setdefault((line["number"], label), []).append(datetime.fromisoformat(line["begun_machine"]))
    verdict = Verdict([], [], [], [], [], [])
    for due in dues:
        found = texts.pop((due.number, due.label), [])
        _place(verdict, due, found)
    verdict.strays.extend(number for number, _ in texts)
    return verdict


def _place(verdict: Verdict, due: Due, found: list[datetime]) -> None:
    if not found:
        verdict.missing.append(due)
    elif len(found) > 1:
        verdict.twice.append(due)
    elif found[0] < due.at:
        verdict.early.append(due)
    else:
        verdict.once.append(due)
        verdict.seconds_late.append((found[0] - due.at).total_seconds())


def unaccounted(missing: Iterable[Due], fates: Mapping[tuple[str, datetime], str]) -> list[Due]:
    """Those that are lost. `fates`: what the notifier shows of a patient's dose of an instant."""
    return [due for due in missing if fates.get((due.patient, due.at)) not in ACCOUNTED_FOR]


def fates_of(patient: str, texts: Iterable[Mapping[str, Any]]) -> dict[tuple[str, datetime], str]:
    """From `GET /notifier/messages`: a dose text goes at its planned time, not before."""
    return {(patient, datetime.fromisoformat(text["not_before"])): text["status"] for text in texts if text["kind"] == "dose"}
