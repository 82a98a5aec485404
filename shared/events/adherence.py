"""adherence.v1: what did happen and who must know. Outcomes of doses, check-ins and follow-ups are *facts*; holds and alerts are
*state* under their own version."""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import TOPIC_ADHERENCE, AlertCode, Contract, DedupKey, Event, Instant, Slug

#: Why it is not known (DESIGN.md rule 3).
UnknownWhy = Literal["not-asked", "not-delivered", "delivered-but-silent", "record-incomplete"]

AlertKind = Literal[
    "missed-check-in",
    "follow-up-missed",
    "follow-up-unrecorded",
    "missed-doses",
    "dose-gap",
    "side-effect",
    "crisis",
    "message-to-read",
    "not-reachable",
    "texts-paused-by-crisis",
    "monitoring-overdue",
    "plan-review",
    "record-incomplete",
]
Severity = Literal["low", "high", "crisis"]
AlertState = Literal["open", "acknowledged", "resolved"]


class AdherenceFact(Event):
    topic: ClassVar[str] = TOPIC_ADHERENCE
    nature: ClassVar[Literal["state", "fact"]] = "fact"

    patient_id: UUID


class MessageRequestedV1(AdherenceFact):
    """Asks the notifier for one text that follows from an answer or a silence; never for the first text of a due event."""

    type: ClassVar[str] = "message-requested"
    request_id: UUID
    purpose: Literal["question", "acknowledgement", "clarification"]
    #: The question of `question`, or the template of the other purposes.
    instrument: Slug
    item: Slug
    occurrence_id: UUID | None = None
    reply_id: UUID | None = None
    running_conversation: bool
    useful_until: Instant

    @property
    def passes_parking(self) -> bool:
        return self.running_conversation


class DoseOutcome(AdherenceFact):
    """Base: what is known of one occurrence of a dose. A later answer is a further event with a higher revision."""

    occurrence_id: UUID
    local_date: date
    medication_ids: tuple[UUID, ...]
    at: Instant
    #: How often this occurrence's outcome has been said; the highest counts.
    revision: int = 1
    #: True where the answer came after its window.
    late: bool = False


class DoseTakenV1(DoseOutcome):
    type: ClassVar[str] = "dose-taken"


class DoseSkippedV1(DoseOutcome):
    type: ClassVar[str] = "dose-skipped"
    reason: Slug | None = None


class DoseMissedV1(DoseOutcome):
    """A person said that it was missed. Silence is `dose-unknown`."""

    type: ClassVar[str] = "dose-missed"


class DoseUnknownV1(DoseOutcome):
    type: ClassVar[str] = "dose-unknown"
    why: UnknownWhy


class CheckInAnsweredV1(AdherenceFact):
    type: ClassVar[str] = "check-in-answered"
    occurrence_id: UUID
    instrument: Slug
    item: Slug
    score: int
    at: Instant
    late: bool = False


class CheckInMissedV1(AdherenceFact):
    """It was asked, it arrived, and nothing came back in its window."""

    type: ClassVar[str] = "check-in-missed"
    occurrence_id: UUID
    instrument: Slug
    at: Instant
    #: Missed in a row, this one included.
    in_a_row: int = 1


class CheckInUnaskedV1(AdherenceFact):
    """What was never asked is never missed."""

    type: ClassVar[str] = "check-in-unasked"
    occurrence_id: UUID
    instrument: Slug
    at: Instant
    why: UnknownWhy


class SideEffectReportedV1(AdherenceFact):
    type: ClassVar[str] = "side-effect-reported"
    reply_id: UUID
    at: Instant
    occurrence_id: UUID | None = None


class FollowUpOutcome(AdherenceFact):
    follow_up_id: UUID
    occurrence_id: UUID | None = None
    at: Instant


class FollowUpKeptV1(FollowUpOutcome):
    type: ClassVar[str] = "follow-up-kept"
    source: Literal["person", "appointment", "patient"]


class FollowUpMissedV1(FollowUpOutcome):
    """A person, an appointment feed or the patient said that it did not happen."""

    type: ClassVar[str] = "follow-up-missed"
    source: Literal["person", "appointment", "patient"]


class FollowUpUnrecordedV1(FollowUpOutcome):
    """The deadline passed with nothing on record. Never called missed."""

    type: ClassVar[str] = "follow-up-unrecorded"


class HoldEvent(Event):
    """Base of asking-held and asking-resumed: state under the medicine's hold version."""

    topic: ClassVar[str] = TOPIC_ADHERENCE
    nature: ClassVar[Literal["state", "fact"]] = "state"

    patient_id: UUID
    medication_id: UUID
    hold_version: int
    rule_set: Slug
    at: Instant


class AskingHeldV1(HoldEvent):
    """A gap needs a prescriber's decision: nobody asks the patient to take this medicine until one has been made."""

    type: ClassVar[str] = "asking-held"


class AskingResumedV1(HoldEvent):
    type: ClassVar[str] = "asking-resumed"


class CrisisFlaggedV1(AdherenceFact):
    """Adherence has taken over a risk-heard: the alert exists and escalates."""

    type: ClassVar[str] = "crisis-flagged"
    bypasses_parking: ClassVar[bool] = True
    reply_id: UUID
    alert_id: UUID
    at: Instant


class AlertSnapshot(Contract):
    """The whole of what a reader keeps of an alert."""

    alert_id: UUID
    #: What a clinician texts back, e.g. "A7K2": unique among the clinic's open alerts.
    code: AlertCode
    kind: AlertKind
    severity: Severity
    state: AlertState
    dedup_key: DedupKey
    #: Whose turn it is; None when the chain is exhausted and ops must act.
    recipient_id: UUID | None
    #: Position in the chain, from 0; a repeat round goes on counting.
    step: int
    #: When it goes to the next in the chain unless acknowledged.
    deadline_at: Instant | None
    raised_at: Instant
    occurrence_id: UUID | None = None
    #: Crisis: the patient cannot be texted, the clinician must call.
    no_text_possible: bool = False


class AlertEvent(Event):
    topic: ClassVar[str] = TOPIC_ADHERENCE
    nature: ClassVar[Literal["state", "fact"]] = "state"
    bypasses_parking: ClassVar[bool] = True

    alert_version: int
    alert: AlertSnapshot


class AlertRaisedV1(AlertEvent):
    type: ClassVar[str] = "alert-raised"


class AlertAcknowledgedV1(AlertEvent):
    type: ClassVar[str] = "alert-acknowledged"
    #: The person who acknowledged, and how.
    by: UUID | None
    how: Literal["sms", "board", "api"]


class AlertEscalatedV1(AlertEvent):
    """The alert now goes to `alert.recipient_id`. `why`: nobody acknowledged in time, or the text could not go."""

    type: ClassVar[str] = "alert-escalated"
    why: Literal["deadline", "withheld", "reminder"]


class AlertResolvedV1(AlertEvent):
    type: ClassVar[str] = "alert-resolved"
    by: UUID | None
    #: `answered`: the patient did after all; `corrected`: its cause is no longer on record (never arrived, reachable again).
    how: Literal["sms", "board", "api", "answered", "corrected"]


class AdherenceChangedV1(AdherenceFact):
    """Adherence of the last `days` days as a range: `low` counts every unknown as not taken, `high` as taken. Fractions 0..1."""

    type: ClassVar[str] = "adherence-changed"
    at: Instant
    days: int
    expected: int
    taken: int
    unknown: int
    low: float
    high: float
