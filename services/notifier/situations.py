"""Reads, under the locks, all that the gate must know of a group of texts: never a query a text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from services.notifier import switch
from services.notifier.domain.facts import ContactFacts
from services.notifier.domain.gate import Limits, Situation, Switch
from services.notifier.domain.message import MessageKind
from services.notifier.domain.quiet import day_bounds, is_quiet, is_zone
from services.notifier.storage import attempts, contacts, messages, strangers, surroundings
from services.notifier.storage.messages import WITHDRAWN, Message
from services.notifier.storage.plans import PlanState
from shared.defaults import default
from shared.messaging.unit import Unit

#: What a patient's daily cap counts: what we start, not what answers them.
COUNTED: frozenset[MessageKind] = frozenset(
    {"dose", "check-in", "education", "appointment", "monitoring", "follow-up", "question", "verification", "welcome"}
)
#: What the fuse counts (decision 0130): no lesson, lab or question may keep a dose from being asked about.
DOSES: frozenset[MessageKind] = frozenset({"dose"})
ONCE: frozenset[MessageKind] = frozenset({"help", "opt-out-confirmation", "verification", "welcome"})
_TWO_DAYS = timedelta(hours=50)
_HOUR = timedelta(hours=1)


@dataclass
class Group:
    """The facts of a group, at `now`. What the gate lets through counts against the next text of the same person."""

    now: datetime
    facts: Mapping[UUID, ContactFacts]
    plans: Mapping[UUID, PlanState]
    held: Mapping[UUID, frozenset[UUID]]
    switches: Mapping[UUID, Switch]
    parked: frozenset[UUID]
    once: Mapping[tuple[UUID, MessageKind], datetime]
    #: Alerts that somebody has taken over.
    over: frozenset[UUID]
    channel_open: bool
    recent: dict[UUID, list[tuple[MessageKind, datetime]]] = field(default_factory=dict)

    def of(self, text: Message) -> ContactFacts | None:
        """Whom it goes to; nobody where the contact is another clinic's (rule 11): an event can name any id there is."""
        found = self.facts.get(text.contact_id)
        return found if found is not None and found.clinic_id == text.clinic_id else None

    def zone(self, text: Message) -> str | None:
        """Where this text's hours are counted: the plan's zone for a patient, their own for the care team."""
        facts = self.of(text)
        plan = self.plans.get(text.patient_id) if text.patient_id else None
        where = plan if text.person_id is None else facts
        named = None if where is None else where.zone
        return named if is_zone(named) else None

    def passed(self, text: Message) -> None:
        self.recent.setdefault(text.contact_id, []).append((text.kind, self.now))

    def situation(self, text: Message) -> Situation:
        """The text's situation, for `gate.decide`."""
        facts, zone = self.of(text), self.zone(text)
        plan = self.plans.get(text.patient_id) if text.patient_id else None
        return Situation(
            now=self.now,
            kind=text.kind,
            role="patient" if text.person_id is None else "care-team",
            useful_until=text.useful_until,
            due_at=text.due_at,
            zone_known=zone is not None,
            severity=text.params.get("severity", "low"),
            version=_version(text, plan),
            plan_active=plan is None or plan.status == "active",
            withdrawn=text.params.get(WITHDRAWN, False) or text.alert_id in self.over,
            asking_held=self._asks_for_held(text, facts),
            key_parked=text.patient_id in self.parked,
            switch=self.switches.get(text.clinic_id, "on"),
            channel_open=self.channel_open,
            over_cap=self._over_cap(text, facts, zone),
            over_fuse=plan is not None and self._today(text, zone, DOSES) >= _fuse(plan),
            went_before=self._went_before(text, facts),
            **_of_person(text, self.now, facts, zone),
        )

    def limits(self, text: Message) -> Limits:
        """The numbers of the clinic whose text it is."""
        facts = self.of(text)
        if facts is None:  # nobody to text: the gate says so whatever the numbers are
            return Limits(default("notifier", "dose_late_after"), default("notifier", "conversation_runs_for"))
        return Limits(facts.dose_late_after, facts.conversation_runs_for)

    def _today(self, text: Message, zone: str | None, kinds: Collection[MessageKind]) -> int:
        """How many texts of these kinds this person had on this local day."""
        start = day_bounds(self.now, zone)[0] if zone else self.now - timedelta(days=1)
        return sum(1 for kind, at in self.recent.get(text.contact_id, ()) if kind in kinds and at >= start)

    def _over_cap(self, text: Message, facts: ContactFacts | None, zone: str | None) -> bool:
        if facts is None:
            return False
        if text.kind != "alert":
            return self._today(text, zone, COUNTED) >= facts.texts_a_day
        hour = [at for kind, at in self.recent.get(text.contact_id, ()) if kind == "alert" and at > self.now - _HOUR]
        return len(hour) >= facts.alerts_an_hour

    def _went_before(self, text: Message, facts: ContactFacts | None) -> bool:
        last = self.once.get((text.contact_id, text.kind))
        since = facts.opted_out_at if facts is not None and facts.opted_out else None
        return last is not None and (since is None or last >= since)

    def _asks_for_held(self, text: Message, facts: ContactFacts | None) -> bool:
        """A text that names what it asks for leaves a held medicine out; one that does not name it cannot, and does not go."""
        held = self.held.get(text.patient_id, frozenset()) if text.patient_id else frozenset()
        asked = {UUID(each) for each in text.params.get("medications", ())}
        named = facts is not None and facts.privacy == "named" and all(each in facts.labels for each in asked)
        return asked <= held and bool(asked) if named else bool(asked & held)

    def unheld(self, text: Message) -> Mapping[str, Any]:
        """The text's params without the medicines on hold."""
        held = self.held.get(text.patient_id, frozenset()) if text.patient_id else frozenset()
        if not held or "medications" not in text.params:
            return text.params
        return {**text.params, "medications": [each for each in text.params["medications"] if UUID(each) not in held]}


def _version(text: Message, plan: PlanState | None) -> Literal["none", "current", "old", "unseen"]:
    if text.plan_version is None:
        return "none"
    if plan is None or text.plan_version > plan.plan_version:
        return "unseen"
    return "old" if text.plan_version < plan.plan_version else "current"


def _fuse(plan: PlanState) -> int:
    """Twice the plan's own day. A plan that asks for nothing (any more) has a day of one: its version says what to do."""
    return int(default("notifier", "fuse_factor")) * max(plan.texts_a_day, 1)


def _of_person(text: Message, now: datetime, facts: ContactFacts | None, zone: str | None) -> dict[str, Any]:
    if facts is None:
        return {"has_number": False}
    # One text may hold risk wording and an opt-out: its safe reply goes first, then the opt-out stands (rule 6).
    same_text = text.kind == "safe-reply" and text.reply_id is not None and text.reply_id == facts.opted_out_by
    return {
        "has_number": facts.number is not None,
        "consent": facts.consent,
        "number_given": facts.number_given,
        "opted_out": facts.opted_out and not same_text,
        "quiet": zone is not None and is_quiet(now, zone, facts.quiet_from, facts.quiet_until),
        "number_suspect": facts.number_suspect,
        "texts_paused": facts.texts_paused,
        "last_inbound_at": facts.last_inbound_at,
    }


async def read(unit: Unit, texts: Sequence[Message]) -> Group:
    """Everything about these texts, as committed now: the caller holds the locks of all of them."""
    people = {text.contact_id for text in texts}
    patients = {text.patient_id for text in texts if text.patient_id is not None}
    clinics = {text.clinic_id for text in texts}
    alerts = {text.alert_id for text in texts if text.alert_id is not None}
    around = await surroundings.read(unit, patients=patients, alerts=alerts, clinics=clinics | {switch.EVERY_CLINIC})
    recent: dict[UUID, list[tuple[MessageKind, datetime]]] = {}
    for contact, kind, at in await attempts.recent(unit, people, unit.now - _TWO_DAYS):
        recent.setdefault(contact, []).append((kind, at))
    return Group(
        now=unit.now,
        facts=await contacts.gate_facts(unit, sorted(people)) | await strangers.gate_facts(unit, texts),
        plans=around.plans,
        held=around.held,
        switches=switch.of_each(clinics, around.switches),
        parked=around.parked,
        once=await messages.last_of_kinds(unit, people, {text.kind for text in texts} & ONCE),
        over=around.over,
        channel_open=around.probe_at is None,
        recent=recent,
    )
