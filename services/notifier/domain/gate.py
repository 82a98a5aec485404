"""The last gate: DESIGN.md's matrix as data, and the one function that reads it.

`decide` is asked in the transaction that commits a text as `attempting`, under the patient's lock, with facts read in that
transaction. Whatever else must be true before any text goes (a number, a zone, usefulness, the ops switch) is checked here too,
in one order, so that the reason given is always the same for the same situation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.notifier.domain.facts import Role, TextsPaused
from services.notifier.domain.message import MessageKind

Row = Literal[
    "dose-on-time",
    "dose-late",
    "routine",
    "question",
    "answer",
    "help",
    "safe-reply",
    "welcome",
    "alert-low",
    "alert-high",
    "alert-crisis",
]
Column = Literal[
    "no-consent",
    "opted-out",
    "quiet-hours",
    "over-cap",
    "old-plan-version",
    "number-suspect",
    "texts-paused",
    "key-parked",
]
#: p passes, w waits for the window, x withheld, once: the first passes, fuse: passes below twice the plan's own day, given:
#: passes where staff recorded that the number was given for this, crisis: withheld in a crisis pause only, digest: waits and goes
#: together with the others, next: withheld, the next in the chain and ops hear; "-" cannot be.
Cell = Literal["p", "w", "x", "once", "fuse", "given", "crisis", "digest", "next", "-"]
Why = Literal[
    "no-contact",
    "no-consent",
    "opted-out",
    "quiet-hours",
    "over-cap",
    "fuse",
    "old-plan-version",
    "plan-not-active",
    "version-not-seen",
    "number-suspect",
    "texts-paused",
    "key-parked",
    "no-zone",
    "too-late",
    "asking-held",
    "withdrawn",
    "switched-off",
    "channel-down",
]
Severity = Literal["low", "high", "crisis"]
Switch = Literal["on", "off", "off-everything"]

COLUMNS: tuple[Column, ...] = (
    "no-consent",
    "opted-out",
    "quiet-hours",
    "over-cap",
    "old-plan-version",
    "number-suspect",
    "texts-paused",
    "key-parked",
)


def _row(cells: str) -> Mapping[Column, Cell]:
    return dict(zip(COLUMNS, cells.split(), strict=True))  # type: ignore[arg-type]  # the test compares every cell


#: DESIGN.md section 4, cell by cell.
MATRIX: Mapping[Row, Mapping[Column, Cell]] = {
    #                    consent opted-out quiet cap    version suspect paused parked
    "dose-on-time": _row("x      x         p     fuse   x       x       x      x"),
    "dose-late":    _row("x      x         x     x      x       x       x      x"),
    "routine":      _row("x      x         w     w      x       x       x      x"),
    "question":     _row("x      x         p     p      p       x       x      p"),
    "answer":       _row("x      x         p     p      p       x       crisis p"),
    "help":         _row("p      once      p     p      p       p       p      p"),
    "safe-reply":   _row("p      x         p     p      p       p       p      p"),
    "welcome":      _row("given  x         w     once   p       once    x      p"),
    "alert-low":    _row("-      next      w     digest p       next    -      p"),
    "alert-high":   _row("-      next      p     p      p       next    -      p"),
    "alert-crisis": _row("-      next      p     p      p       next    -      p"),
}  # fmt: skip

_ROW_OF: Mapping[MessageKind, Row] = {
    "check-in": "routine",
    "education": "routine",
    "appointment": "routine",
    "monitoring": "routine",
    "follow-up": "routine",
    "acknowledgement": "answer",
    "clarification": "answer",
    # START is answered like anything else that the patient has just written.
    "opt-in-confirmation": "answer",
    "help": "help",
    "opt-out-confirmation": "help",
    "safe-reply": "safe-reply",
    "verification": "welcome",
    "welcome": "welcome",
}
_ALERT_ROW: Mapping[Severity, Row] = {"low": "alert-low", "high": "alert-high", "crisis": "alert-crisis"}
#: What an ops switch without `everything` lets through.
_PASSES_SWITCH: frozenset[Row] = frozenset({"safe-reply", "alert-crisis"})
#: Kinds that ask something of a plan: they need it active.
_NEEDS_ACTIVE_PLAN: frozenset[MessageKind] = frozenset({"dose", "check-in", "education"})
#: Rows that go where no zone is known (rule 8). An alert that need not look at the hour needs none either.
_NEEDS_NO_ZONE: frozenset[Row] = frozenset({"help", "safe-reply", "alert-high", "alert-crisis"})


@dataclass(frozen=True)
class Situation:
    """What is true of one text and the person it is for, at one moment. Instants are UTC."""

    now: datetime
    kind: MessageKind
    role: Role
    useful_until: datetime
    #: Planned instant of a dose.
    due_at: datetime
    has_number: bool = True
    zone_known: bool = True
    severity: Severity = "low"
    consent: bool = True
    number_given: bool = False
    opted_out: bool = False
    quiet: bool = False
    over_cap: bool = False
    over_fuse: bool = False
    version: Literal["none", "current", "old", "unseen"] = "current"
    plan_active: bool = True
    #: Taken back while its request was under way, or its alert is acknowledged.
    withdrawn: bool = False
    asking_held: bool = False
    number_suspect: bool = False
    texts_paused: TextsPaused = "no"
    key_parked: bool = False
    #: One of this kind has gone before (after an opt-out: since then).
    went_before: bool = False
    last_inbound_at: datetime | None = None
    switch: Switch = "on"
    channel_open: bool = True


@dataclass(frozen=True)
class Limits:
    """The clinic's numbers: defaults.toml [notifier]."""

    dose_late_after: timedelta
    conversation_runs_for: timedelta


@dataclass(frozen=True)
class Verdict:
    """What happens to the text. `wait` names what for: the window (quiet hours), the cap's reset, or the plan's next version;
    where that comes too late to be useful, `why` is the reason it is withheld with. `ops`: the operator hears of it."""

    action: Literal["pass", "wait", "withhold", "expire"]
    why: Why | None = None
    wait: Literal["window", "cap", "digest", "plan"] | None = None
    ops: bool = False


PASS = Verdict("pass")


def row_of(situation: Situation, limits: Limits) -> Row:
    """The matrix row of a text at this moment: a dose grows late, a question turns into a check-in."""
    if situation.kind == "alert":
        return _ALERT_ROW[situation.severity]
    if situation.kind == "dose":
        return "dose-late" if situation.now - situation.due_at > limits.dose_late_after else "dose-on-time"
    if situation.kind == "question":
        last = situation.last_inbound_at
        running = last is not None and situation.now - last <= limits.conversation_runs_for
        return "question" if running else "routine"
    return _ROW_OF[situation.kind]


def decide(situation: Situation, limits: Limits) -> Verdict:
    """The verdict on one text. Pure: the same situation always gives the same answer."""
    row = row_of(situation, limits)
    return _before_matrix(row, situation) or _matrix(row, situation)


def _before_matrix(row: Row, now: Situation) -> Verdict | None:
    """What no kind of text is excused from, and the order in which it is asked."""
    if now.withdrawn:
        return Verdict("withhold", "withdrawn")
    return _unseen(now) or _outlived(row, now) or _unsendable(row, now)


def _unseen(now: Situation) -> Verdict | None:
    """An event of a plan version that has not been heard yet waits, at most for its usefulness."""
    if now.version != "unseen":
        return None
    late = now.now >= now.useful_until
    return Verdict("withhold", "version-not-seen") if late else Verdict("wait", "version-not-seen", "plan")


def _outlived(row: Row, now: Situation) -> Verdict | None:
    if row != "dose-late" and now.now < now.useful_until:
        return None
    if now.channel_open:
        return Verdict("expire", "too-late")
    return Verdict("withhold", "channel-down", ops=row == "alert-crisis")


def _unsendable(row: Row, now: Situation) -> Verdict | None:
    if _switched_off(row, now):
        return Verdict("withhold", "switched-off", ops=row == "alert-crisis")
    if not now.has_number:
        return Verdict("withhold", "no-contact", ops=now.kind == "alert")
    if now.zone_known or row in _NEEDS_NO_ZONE:
        return None
    # A welcome may be asked for before the plan, which brings the zone, has arrived.
    return Verdict("wait", "no-zone", "plan") if row == "welcome" else Verdict("withhold", "no-zone")


def _switched_off(row: Row, now: Situation) -> bool:
    excepted = row in _PASSES_SWITCH or now.kind == "opt-out-confirmation"
    return now.switch == "off-everything" or (now.switch == "off" and not excepted)


def _matrix(row: Row, now: Situation) -> Verdict:
    """Every column that applies is read: the first that withholds decides, else the first that waits."""
    waiting: Verdict | None = None
    for column in COLUMNS:
        cell = MATRIX[row][column]
        if not _applies(column, cell, now):
            continue
        verdict = _verdict(column, cell, now)
        if verdict.action == "withhold":
            return verdict
        if verdict.action == "wait":
            waiting = waiting or verdict
    return _of_the_plan(now) or waiting or PASS


def _of_the_plan(now: Situation) -> Verdict | None:
    """What the plan and the rule sets say, once nothing in the matrix withholds."""
    if not now.plan_active and now.kind in _NEEDS_ACTIVE_PLAN:
        return Verdict("withhold", "plan-not-active")
    if now.asking_held and now.kind == "dose":
        return Verdict("withhold", "asking-held")
    return None


def _applies(column: Column, cell: Cell, now: Situation) -> bool:
    true_of: Mapping[Column, bool] = {
        # The care team's texts rest on their employment, not on a patient's consent.
        "no-consent": now.role == "patient" and not now.consent,
        "opted-out": now.opted_out,
        "quiet-hours": now.quiet,
        "over-cap": now.over_fuse if cell == "fuse" else now.over_cap,
        "old-plan-version": now.version == "old",
        "number-suspect": now.number_suspect,
        "texts-paused": now.texts_paused != "no",
        "key-parked": now.key_parked,
    }
    return true_of[column]


def _verdict(column: Column, cell: Cell, now: Situation) -> Verdict:
    withheld: Mapping[Cell, bool] = {
        "x": True,
        "next": True,
        "fuse": True,
        "once": now.went_before,
        "given": not now.number_given,
        "crisis": now.texts_paused == "crisis",
    }
    if withheld.get(cell, False):
        return Verdict("withhold", "fuse" if cell == "fuse" else column, ops=cell in {"fuse", "next"})
    if cell == "w":
        return Verdict("wait", column, "window" if column == "quiet-hours" else "cap")
    if cell == "digest":
        return Verdict("wait", column, "digest")
    return PASS
