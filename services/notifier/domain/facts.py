"""What is true of a contact at one moment: all that the gate and the templates may know of a person.

Built by `storage.contacts.gate_facts` under the patient's lock, never kept: number, name and labels are plain text here and
live only in memory, for the length of one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Role = Literal["patient", "care-team"]
Language = Literal["en", "es"]
Privacy = Literal["discreet", "named"]
TextsPaused = Literal["no", "by-patient", "by-staff", "crisis"]


@dataclass(frozen=True)
class ContactFacts:
    """One person who can be texted. All instants are UTC; `zone` is IANA and only known here for the care team (a patient's
    comes from the plan). `quiet_from`/`quiet_until` are local "HH:MM" of the clinic: no text leaves from the first (included)
    until the second (excluded). repr() shows the id only, so that no log or traceback can show who it is."""

    id: UUID
    role: Role
    clinic_id: UUID
    #: E.164, or None where no number is on file.
    number: str | None
    name: str
    language: Language
    privacy: Privacy
    #: ISO 3166-1 alpha-2; decides the crisis line, never guessed from the number.
    country: str
    zone: str | None
    consent: bool
    opted_out: bool
    number_suspect: bool
    texts_paused: TextsPaused
    paused_until: datetime | None
    verified: bool
    last_inbound_at: datetime | None
    welcome_sent: bool
    contact_version: int
    #: The clinic's sending number, E.164.
    sender: str
    clinic_name: str
    quiet_from: str
    quiet_until: str
    #: The clinic's numbers, its own or the house's: routine texts a local day, alert texts an hour, how late a dose's text is
    #: still on time, how long after the person's last text a conversation runs.
    texts_a_day: int
    alerts_an_hour: int
    dose_late_after: timedelta
    conversation_runs_for: timedelta
    #: The crisis line of `country`, as it stands in a text, in the contact's language.
    crisis_line: str
    #: What each medicine is called in this patient's texts, by medication id; absent = neutral.
    labels: Mapping[UUID, str] = field(default_factory=dict)
    #: When the opt-out in force was taken; "once" after an opt-out is counted from here.
    opted_out_at: datetime | None = None
    #: The inbound text that said so, where it was one: a safe reply to that same text still goes (rule 6).
    opted_out_by: UUID | None = None
    #: Staff recorded that the patient gave the number for texts, though not yet consent to reminders.
    number_given: bool = False
    #: Who the clinic names for crises, and the number a patient can call for help (both may be unknown).
    crisis_contact_id: UUID | None = None
    phone_for_help: str | None = None

    def __repr__(self) -> str:
        return f"ContactFacts(id={self.id})"
