"""The tables of hearing: contacts, consent, the clinic's settings, labels, what came in, and what is still asked.

`*_at` is clinical time (bind parameters). Names, numbers, texts and labels are sealed; a number is found by its blind index.
"""

from __future__ import annotations

from typing import get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from services.notifier.domain.disposition import Disposition
from services.notifier.domain.standing import How
from services.notifier.storage import METADATA


def _instant() -> DateTime:
    return DateTime(timezone=True)


def _id() -> UUID:  # type: ignore[type-arg]
    return UUID(as_uuid=True)


def _one_of(column: str, *values: str) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


contact = Table(
    "contact",
    METADATA,
    # The patient's or the person's id.
    Column("id", _id(), primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("role", Text, nullable=False),
    Column("name_sealed", LargeBinary, nullable=False),
    Column("alias_sealed", LargeBinary),
    Column("number_sealed", LargeBinary),
    Column("number_index", LargeBinary),
    # Given by the patient for texts, on record though without consent to reminders.
    Column("number_given", Boolean, nullable=False, server_default=text("false")),
    Column("language", Text, nullable=False),
    Column("privacy", Text, nullable=False, server_default=text("'discreet'")),
    # NULL: the clinic's. Never guessed from the number.
    Column("country", Text),
    # The care team's; a patient's comes with the plan.
    Column("zone", Text),
    Column("roles", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("version", Integer, nullable=False),
    Column("opted_out", Boolean, nullable=False, server_default=text("false")),
    Column("opted_out_at", _instant()),
    # The inbound text that ended the texts, where it was one: a safe reply to that same text still goes (rule 6).
    Column("opted_out_by", _id()),
    Column("number_suspect", Boolean, nullable=False, server_default=text("false")),
    Column("suspect_why", Text),
    Column("verified", Boolean, nullable=False, server_default=text("false")),
    Column("suspended", Boolean, nullable=False, server_default=text("false")),
    Column("texts_paused", Text, nullable=False, server_default=text("'no'")),
    Column("paused_until", _instant()),
    Column("last_inbound_at", _instant()),
    Column("welcomed_at", _instant()),
    Column("created_at", _instant(), nullable=False),
    Column("changed_at", _instant(), nullable=False),
    CheckConstraint(_one_of("role", "patient", "care-team"), name="contact_role"),
    CheckConstraint(_one_of("language", "en", "es"), name="contact_language"),
    CheckConstraint(_one_of("privacy", "discreet", "named"), name="contact_privacy"),
    CheckConstraint(_one_of("texts_paused", "no", "by-patient", "by-staff", "crisis"), name="contact_texts_paused"),
    CheckConstraint("(number_sealed IS NULL) = (number_index IS NULL)", name="contact_number_whole"),
    CheckConstraint("NOT opted_out OR opted_out_at IS NOT NULL", name="contact_opted_out_when"),
    CheckConstraint("number_suspect = (suspect_why IS NOT NULL)", name="contact_suspect_why"),
    CheckConstraint("texts_paused <> 'no' OR paused_until IS NULL", name="contact_paused_until"),
    # Only a named clinician ends a crisis pause, never a date.
    CheckConstraint("texts_paused <> 'crisis' OR paused_until IS NULL", name="contact_crisis_has_no_end"),
    CheckConstraint("country IS NULL OR country ~ '^[A-Z]{2}$'", name="contact_country"),
    CheckConstraint("version > 0", name="contact_version"),
    # Not unique: a number may belong to two patients (reliability.md R28).
    Index("contact_by_number", "number_index", postgresql_where=text("number_index IS NOT NULL")),
    Index("contact_by_clinic", "clinic_id", "role", "id"),
)

consent = Table(
    "consent",
    METADATA,
    Column("id", _id(), primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("contact_id", _id(), ForeignKey("notifier.contact.id", ondelete="CASCADE"), nullable=False),
    Column("given_on", Date, nullable=False),
    # Free words of staff ("signed form", a colleague's name): sealed.
    Column("how_sealed", LargeBinary, nullable=False),
    Column("to_whom_sealed", LargeBinary, nullable=False),
    Column("recorded_at", _instant(), nullable=False),
    Column("ended_at", _instant()),
    Index("consent_in_force", "contact_id", unique=True, postgresql_where=text("ended_at IS NULL")),
)

opt_signal = Table(
    "opt_signal",
    METADATA,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    # The inbound text's id, or a random one where staff or the provider said it.
    Column("id", _id(), nullable=False),
    Column("clinic_id", _id(), nullable=False),
    Column("contact_id", _id(), ForeignKey("notifier.contact.id", ondelete="CASCADE"), nullable=False),
    Column("way", Text, nullable=False),
    Column("how", Text, nullable=False),
    # The provider's time; NULL while it has not been looked up.
    Column("at", _instant()),
    Column("recorded_at", _instant(), nullable=False),
    CheckConstraint(_one_of("way", "out", "in"), name="opt_signal_way"),
    CheckConstraint(_one_of("how", *get_args(How)), name="opt_signal_how"),
    UniqueConstraint("id", "contact_id", name="opt_signal_once"),
    Index("opt_signal_by_contact", "contact_id"),
)

clinic_settings = Table(
    "clinic_settings",
    METADATA,
    Column("clinic_id", _id(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("country", Text, nullable=False),
    # Our own sending number, E.164: public, and the key by which an inbound text finds its clinic.
    Column("sender", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("crisis_contact_id", _id()),
    Column("phone_for_help", Text),
    # The clinic's own numbers in place of defaults.toml [notifier].
    Column("numbers", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("changed_at", _instant(), nullable=False),
    CheckConstraint("country ~ '^[A-Z]{2}$'", name="clinic_settings_country"),
    CheckConstraint(_one_of("language", "en", "es"), name="clinic_settings_language"),
    Index("clinic_settings_by_sender", "sender"),
)

label = Table(
    "label",
    METADATA,
    Column("medication_id", _id(), primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("patient_id", _id(), nullable=False),
    Column("text_sealed", LargeBinary, nullable=False),
    Column("changed_at", _instant(), nullable=False),
    Index("label_by_patient", "patient_id"),
)

inbound = Table(
    "inbound",
    METADATA,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    # The reply's id in events.
    Column("id", _id(), nullable=False),
    # Twilio's MessageSid: the one thing by which a repeated webhook is known.
    Column("sid", Text, nullable=False),
    Column("clinic_id", _id(), nullable=False),
    Column("number_sealed", LargeBinary, nullable=False),
    Column("number_index", LargeBinary, nullable=False),
    Column("body_sealed", LargeBinary, nullable=False),
    Column("came_by", Text, nullable=False),
    Column("received_at", _instant(), nullable=False),
    # Twilio's own time, for the order of STOP and START; looked up where that matters.
    Column("sent_at", _instant()),
    Column("look_at", _instant()),
    Column("looks", Integer, nullable=False, server_default=text("0")),
    Column("disposition", Text, nullable=False),
    # Whom it was from (two patients may share a number), and whom its answer was bound to.
    Column("contact_ids", ARRAY(_id()), nullable=False, server_default=text("'{}'")),
    Column("contact_id", _id()),
    Column("risk", Text),
    Column("safe_reply", Boolean, nullable=False, server_default=text("false")),
    Column("other_answer", Boolean, nullable=False, server_default=text("false")),
    Column("read_at", _instant()),
    UniqueConstraint("id", name="inbound_id"),
    UniqueConstraint("sid", name="inbound_sid"),
    CheckConstraint(_one_of("disposition", *get_args(Disposition)), name="inbound_disposition"),
    CheckConstraint(_one_of("came_by", "webhook", "poll"), name="inbound_came_by"),
    Index("inbound_by_number", "number_index", "received_at"),
    Index("inbound_by_contact", "contact_id", "received_at"),
    Index("inbound_unread", "clinic_id", "received_at", postgresql_where=text("read_at IS NULL")),
    Index("inbound_to_look_up", "look_at", postgresql_where=text("look_at IS NOT NULL")),
)

open_question = Table(
    "open_question",
    METADATA,
    Column("message_id", _id(), primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("contact_id", _id(), nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurrence_id", _id()),
    Column("request_id", _id()),
    Column("instrument", Text),
    Column("item", Text),
    Column("asked_at", _instant(), nullable=False),
    Column("answer_until", _instant(), nullable=False),
    Column("answered_at", _instant()),
    Column("answered_as", Text),
    Column("answered_by", _id()),
    CheckConstraint(
        _one_of("kind", "dose", "check-in", "follow-up", "appointment", "monitoring", "question"), name="open_question_kind"
    ),
    CheckConstraint("(answered_at IS NULL) = (answered_as IS NULL)", name="open_question_answered"),
    Index("open_question_by_contact", "contact_id", "asked_at"),
)

inbound_poll = Table(
    "inbound_poll",
    METADATA,
    # Our own number. One row a sender: up to which instant the provider's list has been read.
    Column("sender", Text, primary_key=True),
    Column("clinic_id", _id(), nullable=False),
    Column("read_until", _instant(), nullable=False),
    Column("next_at", _instant(), nullable=False),
)
