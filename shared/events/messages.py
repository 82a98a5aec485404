"""messages.v1: what the notifier says about texts and answers. Contact events are *state* (a whole snapshot under the contact's
version); what happened to a message or an answer is a *fact* under its own id. No number, name or text is ever in here."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from shared.events.base import TOPIC_MESSAGES, Contract, Event, Instant, Slug

#: What a text is for; the rows of the gate's matrix (DESIGN.md 4).
MessageKind = Literal[
    "dose",
    "check-in",
    "education",
    "appointment",
    "monitoring",
    "follow-up",
    "question",
    "acknowledgement",
    "clarification",
    "help",
    "opt-out-confirmation",
    "opt-in-confirmation",
    "safe-reply",
    "verification",
    "welcome",
    "alert",
]

WithheldReason = Literal[
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
    "withdrawn",
    "switched-off",
    "rejected-by-provider",
    "channel-down",
    "no-template",
    "asking-held",
]

TextsPaused = Literal["no", "by-patient", "by-staff", "crisis"]


class ContactSnapshot(Contract):
    """The whole of what others may know of how a person can be reached."""

    reachable: bool
    number_on_file: bool
    consent: bool
    opted_out: bool
    number_suspect: bool
    texts_paused: TextsPaused
    paused_until: Instant | None = None


class ContactEvent(Event):
    """Base of contact state. `contact_version` is the notifier's; a reader keeps the highest."""

    topic: ClassVar[str] = TOPIC_MESSAGES
    nature: ClassVar[Literal["state", "fact"]] = "state"

    #: The patient, or None where the contact is a member of the care team.
    person_id: UUID | None = None
    contact_version: int
    contact: ContactSnapshot


class ContactChangedV1(ContactEvent):
    type: ClassVar[str] = "contact-changed"


class PreferenceChangedV1(ContactEvent):
    type: ClassVar[str] = "preference-changed"


class PatientOptedOutV1(ContactEvent):
    """`how`: the patient's text, the provider's refusal (21610), or staff who were told."""

    type: ClassVar[str] = "patient-opted-out"
    bypasses_parking: ClassVar[bool] = True
    how: Literal["keyword", "own-words", "provider", "staff"]


class PatientOptedInV1(ContactEvent):
    type: ClassVar[str] = "patient-opted-in"
    bypasses_parking: ClassVar[bool] = True
    how: Literal["keyword", "staff"]


class TextsPausedV1(ContactEvent):
    type: ClassVar[str] = "texts-paused"
    bypasses_parking: ClassVar[bool] = True


class TextsResumedV1(ContactEvent):
    type: ClassVar[str] = "texts-resumed"
    bypasses_parking: ClassVar[bool] = True


class NumberSuspectV1(ContactEvent):
    """The number may no longer be the patient's. `why` names the sign."""

    type: ClassVar[str] = "number-suspect"
    why: Literal["undelivered", "invalid", "wrong-number", "reassigned", "staff"]


class ContactSuspendedV1(ContactEvent):
    """Staff took the number out of use."""

    type: ClassVar[str] = "contact-suspended"
    reason: Slug


class MessageEvent(Event):
    """Base of what happened to one text. Exactly one of occurrence, request, alert or reply is what it was about."""

    topic: ClassVar[str] = TOPIC_MESSAGES
    nature: ClassVar[Literal["state", "fact"]] = "fact"

    message_id: UUID
    kind: MessageKind
    #: The member of the care team it was for; None for the patient.
    person_id: UUID | None = None
    occurrence_id: UUID | None = None
    request_id: UUID | None = None
    alert_id: UUID | None = None
    reply_id: UUID | None = None
    plan_version: int | None = None

    @property
    def passes_parking(self) -> bool:
        """What became of a page or of a safe reply decides who is asked next: it waits behind nothing."""
        return self.kind in ("alert", "safe-reply")


class MessageSentV1(MessageEvent):
    """The provider accepted it."""

    type: ClassVar[str] = "message-sent"
    at: Instant


class MessageDeliveredV1(MessageEvent):
    type: ClassVar[str] = "message-delivered"
    at: Instant


class MessageUndeliveredV1(MessageEvent):
    """The provider or carrier says it did not arrive. `error_code` is the provider's number, a hint only."""

    type: ClassVar[str] = "message-undelivered"
    at: Instant
    error_code: int | None = None


class MessageUnconfirmedV1(MessageEvent):
    """The outcome of the send is not known. `final`: reconciliation gave up; it is never sent again."""

    type: ClassVar[str] = "message-unconfirmed"
    at: Instant
    final: bool = False


class MessageWithheldV1(MessageEvent):
    """No text went. `why` is the gate's cell; an old plan version makes the scheduler reissue what is still due."""

    type: ClassVar[str] = "message-withheld"
    at: Instant
    why: WithheldReason


class ReplyReceivedV1(Event):
    """What a person answered, as structure. `about` is what the notifier bound it to."""

    type: ClassVar[str] = "reply-received"
    topic: ClassVar[str] = TOPIC_MESSAGES
    nature: ClassVar[Literal["state", "fact"]] = "fact"

    reply_id: UUID
    at: Instant
    #: The member of the care team who wrote; None for the patient.
    person_id: UUID | None = None
    about: Literal["dose", "check-in", "follow-up", "appointment", "monitoring", "question", "alert", "nothing"]
    occurrence_id: UUID | None = None
    alert_id: UUID | None = None
    request_id: UUID | None = None
    #: `none`: words the notifier could not read as an answer; a person looks at them.
    answer: Literal["taken", "skipped", "later", "yes", "no", "score", "acknowledge", "resolve", "side-effect", "none"]
    #: With `score` only: the digit chosen.
    score: int | None = None
    #: Why a dose was skipped, where said.
    reason: Slug | None = None

    @property
    def passes_parking(self) -> bool:
        """A clinician's answer to an alert: without it everybody in the chain would go on being paged."""
        return self.about == "alert"


class RiskHeardV1(Event):
    """Risk wording in an inbound text. Category only. `safe_reply`: whether the crisis line could be texted."""

    type: ClassVar[str] = "risk-heard"
    topic: ClassVar[str] = TOPIC_MESSAGES
    nature: ClassVar[Literal["state", "fact"]] = "fact"
    bypasses_parking: ClassVar[bool] = True

    reply_id: UUID
    at: Instant
    category: Literal["suicide", "self-harm", "harm-to-others", "overdose", "abuse", "unspecified"]
    safe_reply: Literal["sent", "no-text-possible"]


class ChannelIncidentV1(Event):
    """The SMS channel as a whole is down or well again: one incident, never an alert per patient."""

    type: ClassVar[str] = "channel-incident"
    topic: ClassVar[str] = TOPIC_MESSAGES
    nature: ClassVar[Literal["state", "fact"]] = "fact"
    bypasses_parking: ClassVar[bool] = True

    incident_id: UUID
    state: Literal["opened", "cleared"]
    at: Instant
    reason: Slug
