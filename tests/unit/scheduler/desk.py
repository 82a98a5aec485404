"""A scheduler in memory: the domain's own decisions over a dictionary of rows. What PostgreSQL and Kafka do, without them.

It stands for versions.py and ticker.py, so the properties hold for the decisions; that those two carry them out is the
integration tests' to show.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.scheduler.domain import expansion, ladder, lateness
from services.scheduler.domain.change import Change
from services.scheduler.domain.facts import Fact, PlanResumed, PlanStarted
from services.scheduler.domain.occurrence import Occurrence
from services.scheduler.domain.plan import Plan
from services.scheduler.domain.reconcile import LOOK_BACK, State, Stored, reconcile
from tests.unit.scheduler.builders import RULES

AHEAD = timedelta(hours=48)


@dataclass
class Row:
    occurrence: Occurrence
    state: State

    @property
    def stored(self) -> Stored:
        one = self.occurrence
        return Stored(one.id, one.kind, self.state, one.due_at, one.useful_until)


@dataclass
class Said:
    """One due event: about what, under which version, when, and in which status the plan stood."""

    occurrence: Occurrence
    version: int
    at: datetime
    status: str


@dataclass
class Desk:
    plan: Plan
    now: datetime
    horizon: datetime
    rows: dict[UUID, Row] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    expired: list[tuple[UUID, int]] = field(default_factory=list)
    withdrawn: list[tuple[UUID, int]] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    def apply(self, change: Change) -> None:
        """A new version; `change` was decided on the plan as `catch_up` left it."""
        if not change.facts:
            return
        self.catch_up()
        assert change.plan.version == self.plan.version + len(change.facts)
        self.plan = change.plan
        self.facts += change.facts
        self.horizon = self.now + AHEAD
        known = [row.stored for row in self.rows.values()]
        since = min([self.now - LOOK_BACK, *(one.due_at for one in known if one.state in ("planned", "said"))])
        begins = any(isinstance(fact, PlanStarted | PlanResumed) for fact in change.facts)
        new_from = min(self.plan.since, self.now) if begins else self.now
        since = min(since, new_from)
        result = reconcile(known, expansion.occurrences(self.plan, since, self.horizon, RULES), self.now, new_from)
        self.rows = {one: row for one, row in self.rows.items() if row.state != "planned"}
        for one in result.plan:
            self.rows[one.id] = Row(one, "planned")
        for one in result.reissue:
            self.rows[one.id] = Row(one, "said")
            self._say(one)
        for gone in result.withdraw:
            self.rows[gone].state = "withdrawn"
            self.withdrawn.append((gone, self.plan.version))

    def catch_up(self) -> None:
        """What nobody planned while everything was down belongs to the version that stood then."""
        if self.plan.status == "active" and self.horizon < self.now:
            for one in expansion.occurrences(self.plan, self.horizon, self.now, RULES):
                self.rows.setdefault(one.id, Row(one, "planned"))
            self.horizon = self.now

    def _say(self, one: Occurrence) -> None:
        self.said.append(Said(one, self.plan.version, self.now, self.plan.status))

    def next_due(self) -> datetime | None:
        moments = [row.occurrence.due_at for row in self.rows.values() if row.state == "planned"]
        change = ladder.next_change(self.plan, self.now)
        return min([*moments, *([change] if change else []), self.horizon - AHEAD / 2], default=None)

    def tick(self, now: datetime) -> None:
        """One firing at `now`: as the ticker does it, in the same order."""
        self.now = now
        self.catch_up()
        self.apply(ladder.advance(self.plan, now))
        due = [row for row in self.rows.values() if row.state == "planned" and row.occurrence.due_at <= now]
        for verdict in lateness.judge([row.occurrence for row in due], now, RULES):
            row = self.rows[verdict.occurrence.id]
            if verdict.outcome == "say":
                row.state = "said"
                self._say(row.occurrence)
            else:
                row.state = "expired"
                self.expired.append((row.occurrence.id, self.plan.version))
        if self.plan.status == "active" and self.horizon - now <= AHEAD / 2:
            for one in expansion.occurrences(self.plan, self.horizon, now + AHEAD, RULES):
                self.rows.setdefault(one.id, Row(one, "planned"))
            self.horizon = now + AHEAD
        if self.plan.status != "active":
            self.horizon = now + AHEAD

    def run_to(self, end: datetime) -> None:
        """As the ticker's loop: always to the next due moment, then to the end."""
        while (due := self.next_due()) is not None and due <= end:
            self.tick(max(due, self.now))
        self.now = end

    def sent(self, occurrence: UUID) -> None:
        if self.rows[occurrence].state in ("planned", "said", "withdrawn", "closed"):
            self.rows[occurrence].state = "sent"


def desk(plan: Plan, now: datetime) -> Desk:
    """A desk for a plan that has just been started (its version is the start's)."""
    made = Desk(replace(plan, version=plan.version - 1), now, now + AHEAD)
    made.apply(Change(plan, (PlanStarted(),)))
    return made
