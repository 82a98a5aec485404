"""The one judge of every run: the phone simulator's ledger against an oracle that knows nothing of the product.

Three independent accounts are laid side by side. What was **due**: the naive oracle's reading of the plans as the clinic stated
them. What **left**: the provider's append-only ledger. What the product **says** of each text: its public APIs. A run is good
when every due item was sent once, or was withheld, expired or is visibly unconfirmed, and every text on the ledger is one of
them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

#: What becomes a text to the patient. An overdue follow-up and a plan review are the care team's.
TEXTED = frozenset({"dose-due", "check-in-due", "follow-up-due", "appointment-reminder-due", "monitoring-due", "education-due"})
LEFT = frozenset({"accepted", "sent", "delivered", "undelivered", "failed"})
KEPT = frozenset({"withheld", "expired", "carried", "rejected"})
DOUBT = "unconfirmed"


@dataclass(frozen=True)
class Due:
    """An item that the oracle reads in a patient's plan. `occurrence` is its id by the published rule, `at` is UTC."""

    patient: str
    occurrence: str
    kind: str
    at: datetime


@dataclass(frozen=True)
class Left:
    """A text that the provider took, as its ledger has it. `at`: clinical, UTC."""

    patient: str
    sid: str
    at: datetime


@dataclass(frozen=True)
class Said:
    """What the product says of one text to a patient. `occurrence` is None for what no plan asked for (welcome, answers)."""

    patient: str
    occurrence: str | None
    kind: str
    status: str
    sid: str | None
    why: str | None = None


@dataclass
class Verdict:
    """`faults`: a line each, empty when the run is good. `counts`: what became of the due items."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        return "\n".join([f"due items: {counted or 'none'}", *self.faults[:40]])


def judge(due: Iterable[Due], left: Sequence[Left], said: Sequence[Said], expired: frozenset[str] = frozenset()) -> Verdict:
    """`expired`: occurrences whose moment had passed before the scheduler could say them (it says that too)."""
    verdict = Verdict()
    by_occurrence: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        if one.occurrence is not None:
            by_occurrence[one.occurrence].append(one)
    ledger = {text.sid: text for text in left}
    expected = {item.occurrence: item for item in due if item.kind in TEXTED}
    for item in expected.values():
        verdict.counts[_fate(item, by_occurrence.pop(item.occurrence, []), ledger, expired, verdict.faults)] += 1
    for occurrence, texts in by_occurrence.items():
        verdict.faults += [f"not due: {one.kind} {one.status} of {one.patient} ({occurrence})" for one in texts]
    verdict.faults += _doubled(left, said)
    verdict.faults += _unaccounted(left, said)
    verdict.faults += _more_than_due(expected.values(), left, said)
    return verdict


def _fate(item: Due, texts: list[Said], ledger: Mapping[str, Left], expired: frozenset[str], faults: list[str]) -> str:
    """What became of one due item; a fault where that cannot be."""
    if len(texts) > 1:
        faults.append(f"two texts of one {item.kind} at {item.at} of {item.patient}")
    if not texts:
        if item.occurrence in expired:
            return "expired"
        faults.append(f"missing: {item.kind} at {item.at} of {item.patient}")
        return "missing"
    one = texts[0]
    if one.status == DOUBT:
        return "unconfirmed"
    if one.status in LEFT:
        text = ledger.get(one.sid or "")
        if text is None or text.patient != item.patient:
            faults.append(f"said to be {one.status}, not on the ledger: {item.kind} at {item.at} of {item.patient}")
        elif text.at < item.at:
            faults.append(f"sent before it was due: {item.kind} at {item.at} of {item.patient}")
        return "sent"
    if one.status in KEPT:
        if one.sid is not None:
            faults.append(f"{one.status} and yet sent: {item.kind} at {item.at} of {item.patient}")
        return "expired" if one.status == "expired" else "withheld"
    faults.append(f"still {one.status}: {item.kind} at {item.at} of {item.patient}")
    return "open"


def _doubled(left: Sequence[Left], said: Sequence[Said]) -> list[str]:
    """One text on the ledger is one text of the product's."""
    claims = Counter(one.sid for one in said if one.sid is not None)
    rows = Counter(text.sid for text in left)
    return [f"two texts of the product claim {sid}" for sid, count in claims.items() if count > 1] + [
        f"the ledger has {sid} twice" for sid, count in rows.items() if count > 1
    ]


def _unaccounted(left: Sequence[Left], said: Sequence[Said]) -> list[str]:
    """A text that nobody claims is in order only where the patient has one in doubt: that one."""
    claimed = {one.sid for one in said}
    in_doubt = Counter(one.patient for one in said if one.status == DOUBT)
    stray = Counter(text.patient for text in left if text.sid not in claimed)
    return [
        f"{count} texts to {patient} that nobody accounts for, {in_doubt[patient]} in doubt"
        for patient, count in stray.items()
        if count > in_doubt[patient]
    ]


def _more_than_due(due: Iterable[Due], left: Sequence[Left], said: Sequence[Said]) -> list[str]:
    """Whatever the product says: at no moment had a phone got more texts than had come due by then, welcome and answers apart."""
    others = {one.sid for one in said if one.occurrence is None}
    instants: dict[str, list[datetime]] = defaultdict(list)
    for item in due:
        instants[item.patient].append(item.at)
    got: Counter[str] = Counter()
    faults = []
    for text in sorted(left, key=lambda text: text.at):
        if text.sid in others:
            continue
        got[text.patient] += 1
        if got[text.patient] > sum(at <= text.at for at in instants[text.patient]):
            faults.append(f"{text.patient} got {got[text.patient]} texts by {text.at}, more than had come due")
    return faults
