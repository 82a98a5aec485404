"""A new version of a plan meets what is stored of the old one: which occurrences are planned, said again, or taken back.

DESIGN.md 3: on every new version each occurrence that was said due and not yet sent is withdrawn or reissued. A text's key is the
occurrence, so a reissue can never make a second text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from services.scheduler.domain.occurrence import Kind, Occurrence

State = Literal["planned", "said", "sent", "withdrawn", "expired", "closed"]

#: How far back a new version looks for what was planned and has not been said (a move east across the whole world, and a
#: spare hour): the moment may then lie in the past already and is judged for its lateness instead of vanishing.
LOOK_BACK = timedelta(hours=27)


@dataclass(frozen=True)
class Stored:
    """A row as it stands, of any state."""

    id: UUID
    kind: Kind
    state: State
    due_at: datetime
    useful_until: datetime


@dataclass(frozen=True)
class Reconciled:
    """`plan`: rows to be planned (new ones, and known ones again). `reissue`: said again now. `withdraw`: ids taken back."""

    plan: tuple[Occurrence, ...] = ()
    reissue: tuple[Occurrence, ...] = ()
    withdraw: tuple[UUID, ...] = ()


def reconcile(
    stored: Iterable[Stored], wanted: Sequence[Occurrence], now: datetime, new_from: datetime | None = None
) -> Reconciled:
    """`wanted`: the occurrences of the new version from `now - LOOK_BACK` (or the oldest stored one) to the horizon.
    All `planned` rows are deleted by the caller first, so what is not planned again here is gone. What was not there before
    exists from `new_from` on (default: now); a plan that starts shows what its first day has already brought."""
    rows = {row.id: row for row in stored}
    plan: list[Occurrence] = []
    reissue: list[Occurrence] = []
    for one in wanted:
        action = _action(rows.get(one.id), one, now, new_from or now)
        if action == "plan":
            plan.append(one)
        elif action == "reissue":
            reissue.append(one)
    kept = {one.id for one in (*plan, *reissue)}
    withdraw = tuple(row.id for row in rows.values() if row.state == "said" and row.id not in kept and _is_open(row, now))
    return Reconciled(tuple(plan), tuple(reissue), withdraw)


def _action(row: Stored | None, one: Occurrence, now: datetime, new_from: datetime) -> Literal["plan", "reissue"] | None:
    if row is None:
        still_waits = one.kind in ("follow-up-due", "monitoring-due") and now < one.useful_until
        return "plan" if one.due_at >= new_from or still_waits else None
    if row.state == "planned":
        return "plan"
    if row.state == "said" and one.due_at > now:
        return "plan"
    if row.state == "said":
        return "reissue" if now < one.useful_until else None
    if row.state == "withdrawn":
        return "plan" if one.due_at >= now else None
    return None


def _is_open(row: Stored, now: datetime) -> bool:
    """A text about it could still go. A dose that was said and whose time ran out was expected all the same: it stays."""
    return now < row.useful_until
