"""A text from its draft to its fate: the state machine of one message, as data and pure functions.

The order of callbacks means nothing: a state only ever rises in rank, so every permutation of the same statuses ends the same
(reliability.md R15). Doubt is a state of its own; nothing leads from it back to `queued` (DESIGN.md rule 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

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
MessageState = Literal[
    "queued",
    "carried",
    "withheld",
    "expired",
    "attempting",
    "unconfirmed",
    "rejected",
    "accepted",
    "sent",
    "failed",
    "undelivered",
    "delivered",
]
STATES: tuple[MessageState, ...] = get_args(MessageState)
KINDS: tuple[MessageKind, ...] = get_args(MessageKind)


@dataclass(frozen=True)
class MessageDraft:
    """A text to be queued. It goes to `person_id` (care team) where given, else to `patient_id`; the safe reply to a number that
    nobody on file has goes to `number_id` (storage/strangers.py).

    `key` is what can be said only once ("occurrence/<id>", "alert/<id>/<version>", "reply/<id>/ack"). `template` names an entry
    of templates.toml; `params` fill it and hold no name, number, free text or medicine name (ids of medicines only).
    `not_before` and `useful_until` are UTC; no request begins outside them. `cause` is the id of the event that caused it and
    `cause_type` that event's name without version ("dose-due").
    """

    key: str
    kind: MessageKind
    clinic_id: UUID
    template: str
    cause: UUID
    cause_type: str
    not_before: datetime
    useful_until: datetime
    patient_id: UUID | None = None
    person_id: UUID | None = None
    number_id: UUID | None = None
    occurrence_id: UUID | None = None
    request_id: UUID | None = None
    alert_id: UUID | None = None
    reply_id: UUID | None = None
    plan_version: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def contact_id(self) -> UUID:
        contact = self.person_id or self.patient_id or self.number_id
        if contact is None:
            raise ValueError("a text needs a patient, a person or a number")
        return contact


#: The moves there are. What is not listed is refused by the database as well (trigger `message_moves`).
MOVES: Mapping[MessageState, frozenset[MessageState]] = {
    # queued -> accepted and beyond never happens: no SID without an attempt committed first.
    "queued": frozenset({"attempting", "withheld", "expired", "carried"}),
    # A reissue under a newer plan version asks again for what never left.
    "withheld": frozenset({"queued"}),
    "expired": frozenset({"queued"}),
    # A digest took it along; its fate is its carrier's.
    "carried": frozenset(),
    # back to queued only with proof that nothing left (not begun, or refused before acceptance).
    "attempting": frozenset({"queued", "unconfirmed", "rejected", "accepted", "sent", "failed", "undelivered", "delivered"}),
    "unconfirmed": frozenset({"accepted", "sent", "failed", "undelivered", "delivered"}),
    "rejected": frozenset(),
    "accepted": frozenset({"sent", "failed", "undelivered", "delivered"}),
    "sent": frozenset({"failed", "undelivered", "delivered"}),
    "failed": frozenset({"undelivered", "delivered"}),
    "undelivered": frozenset({"delivered"}),
    "delivered": frozenset(),
}

#: States in which the provider has it (or had it): ranks only rise.
RANK: Mapping[MessageState, int] = {"accepted": 1, "sent": 2, "failed": 3, "undelivered": 4, "delivered": 5}

#: Twilio's status -> our state. "delivered" outranks every failure: a handset's receipt proves more than a carrier's doubt.
PROVIDER_STATES: Mapping[str, MessageState] = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "sent",
    "partially_delivered": "sent",
    "canceled": "failed",
    "failed": "failed",
    "undelivered": "undelivered",
    "delivered": "delivered",
    "read": "delivered",
}
FINISHED: frozenset[MessageState] = frozenset({"delivered", "undelivered", "failed", "rejected", "withheld", "expired"})
#: The text may have reached a phone: a second one about the same thing must never go.
MAY_HAVE_LEFT: frozenset[MessageState] = frozenset({"attempting", "unconfirmed", *RANK})


def may_move(origin: MessageState, target: MessageState) -> bool:
    """Whether the state machine has this move."""
    return target in MOVES[origin]


def after_status(state: MessageState, status: str) -> MessageState:
    """The state once the provider has reported `status` (Twilio's word). An unknown status changes nothing but that the
    provider has it; a lower rank changes nothing at all."""
    told = PROVIDER_STATES.get(status, "accepted")
    if state in {"attempting", "unconfirmed"}:
        return told
    if state in RANK and RANK[told] > RANK[state]:
        return told
    return state


def after_statuses(state: MessageState, statuses: Iterable[str]) -> MessageState:
    """`after_status` over all of them; the order does not matter."""
    for status in statuses:
        state = after_status(state, status)
    return state
