"""The last gate at work: a small group of queued texts, everybody locked, facts read again, the matrix asked, all committed.

What comes out are letters: texts that this transaction has put down as `attempting`. No request leaves before it has committed,
and no lock is held over HTTP (DESIGN.md rule 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from services.notifier import said, situations
from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.gate import Situation, Verdict, decide
from services.notifier.domain.quiet import cap_resets, window_opens
from services.notifier.domain.templates import NoTemplateError, Templates
from services.notifier.situations import Group
from services.notifier.storage import attempts, messages, turns
from services.notifier.storage.attempts import Letter
from services.notifier.storage.messages import Message
from shared.defaults import default
from shared.events.messages import WithheldReason
from shared.messaging.unit import Unit
from shared.ops import ops_say

_VALIDITY_AT_MOST: timedelta = default("notifier", "validity_at_most")
_DIGEST_AFTER = timedelta(hours=1)
_NEVER_QUIET = ("00:00", "00:00")


@dataclass(frozen=True)
class _Passing:
    """A text that may leave, and what it says. Mostly `queued` still; `begun` says that it stands as `attempting` already."""

    text: Message
    body: str = field(repr=False)
    begun: bool


@dataclass(frozen=True)
class Gate:
    """`link` is the board's address as it stands in a clinician's text; `owner` this process's sender."""

    templates: Templates
    link: str
    owner: UUID

    async def pass_group(self, unit: Unit, texts: Sequence[Message]) -> list[Letter]:
        """Decides on every text of the group; the letters that may leave once this transaction has committed. The caller holds
        the locks of everybody concerned and has read the texts under them."""
        group = await situations.read(unit, texts)
        passing = [await self._one(unit, group, text) for text in texts]
        return await self._begin(unit, group, [each for each in passing if each is not None])

    async def _begin(self, unit: Unit, group: Group, passing: Sequence[_Passing]) -> list[Letter]:
        """Puts down what may leave: all texts in one statement, their attempts in another."""
        begun = await turns.begin(unit, [each.text for each in passing if not each.begun])
        drafts = []
        for each in passing:
            text = each.text if each.begun else begun.get(each.text.id)
            if text is None:
                continue
            facts = group.facts[text.contact_id]
            until = min(_useful_until(text, facts), unit.now + _VALIDITY_AT_MOST)
            drafts.append(attempts.draft(unit, text, facts, each.body, owner=self.owner, valid_until=until))
        return await attempts.begin(unit, drafts)

    async def _one(self, unit: Unit, group: Group, text: Message) -> _Passing | None:
        situation = group.situation(text)
        verdict = decide(situation, group.limits(text))
        if verdict.action == "pass":
            return await self._let_pass(unit, group, text)
        if verdict.action == "wait" and verdict.wait is not None:
            await self._wait(unit, group, text, verdict)
        else:
            await self._withhold(unit, text, verdict, situation)
        return None

    async def _let_pass(self, unit: Unit, group: Group, text: Message) -> _Passing | None:
        try:
            body = await self._body(unit, group, text)
        except NoTemplateError:
            await _withhold(unit, text, "no-template")
            await ops_say(unit, "no-template", {"template": text.template}, dedup=f"no-template/{text.template}")
            return None
        begun = text.waits_for == "digest"
        if begun:
            # At once: the next text of the group may be one that this one has just taken along, or would take this one along.
            moved = await messages.move(unit, text, "attempting", waits_for=None)
            if moved is None:
                return None
            text = moved
        group.passed(text)
        return _Passing(text, body, begun)

    async def _body(self, unit: Unit, group: Group, text: Message) -> str:
        """Rendered now, from what is true now."""
        facts, template, params = group.facts[text.contact_id], text.template, dict(group.unheld(text))
        together = await self._digest(unit, text)
        if together:
            template, params = "alert/digest", {"count": together + 1}
        return self.templates.body(template, facts, params, zone=group.zone(text), link=self.link)

    async def _digest(self, unit: Unit, text: Message) -> int:
        """Takes along what waits with this text for the same person; how many."""
        if text.waits_for != "digest":
            return 0
        others = [each for each in await messages.waiting_for_digest(unit, text.contact_id) if each.id != text.id]
        carried = [await messages.move(unit, each, "carried", carried_by=text.id, waits_for=None) for each in others]
        return sum(each is not None for each in carried)

    async def _wait(self, unit: Unit, group: Group, text: Message, verdict: Verdict) -> None:
        """Puts the text off; where that is too late for it to be useful, it is withheld at once and says why."""
        if verdict.wait == "plan":
            await messages.postpone(unit, text, text.useful_until, "plan")
            return
        until = _until(group, text, verdict)
        if until >= text.useful_until:
            await _withhold(unit, text, verdict.why or "quiet-hours")
            return
        await messages.postpone(unit, text, until, verdict.wait or "window")

    async def _withhold(self, unit: Unit, text: Message, verdict: Verdict, situation: Situation) -> None:
        why: WithheldReason = verdict.why or "too-late"
        await _withhold(unit, text, why, expired=verdict.action == "expire")
        if verdict.ops:
            told = {"kind": text.kind, "severity": situation.severity, "alert": str(text.alert_id or "none")}
            await ops_say(unit, f"text-withheld-{why}", told, dedup=f"{text.id}/{text.epoch}", clinic_id=text.clinic_id)


def _useful_until(text: Message, facts: ContactFacts) -> datetime:
    """A dose's text dies at the provider, too, once it would be late."""
    return min(text.useful_until, text.due_at + facts.dose_late_after) if text.kind == "dose" else text.useful_until


def _until(group: Group, text: Message, verdict: Verdict) -> datetime:
    """When it may go: the window's opening, the next local day's, or with the next digest."""
    facts, zone = group.facts[text.contact_id], group.zone(text)
    start, end = (facts.quiet_from, facts.quiet_until) if zone else _NEVER_QUIET
    if verdict.wait == "cap":
        return cap_resets(group.now, zone or "UTC", start, end)
    after = group.now + _DIGEST_AFTER if verdict.wait == "digest" else group.now
    return window_opens(after, zone or "UTC", start, end)


async def _withhold(unit: Unit, text: Message, why: WithheldReason, *, expired: bool = False) -> None:
    moved = await messages.move(unit, text, "expired" if expired else "withheld", why=why, waits_for=None)
    if moved is not None:
        await said.withheld(unit, moved, why)


async def withhold(unit: Unit, text: Message, why: WithheldReason) -> None:
    """Withholds a queued text outside the gate (its alert was acknowledged, its occurrence expired)."""
    await _withhold(unit, text, why)
