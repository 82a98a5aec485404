"""What the notifier keeps sealed, and the blind indexes made of it: what a change of the data key seals again."""

from __future__ import annotations

from services.notifier.storage.contact_rows import NUMBER_PURPOSE
from services.notifier.storage.hearing_tables import consent, contact, inbound, label
from services.notifier.storage.tables import attempt
from shared.rotation import Sealed, SealedTable

_INDEX = ("number_index", NUMBER_PURPOSE)
#: By `first` go: whose text is this (STOP above all), how often a number was answered, which attempts look alike.
TABLES = (
    SealedTable(
        contact,
        "id",
        (
            Sealed("name_sealed", ("contact", "name")),
            Sealed("alias_sealed", ("contact", "alias")),
            Sealed("number_sealed", ("contact", "number"), _INDEX),
        ),
        first="true",
    ),
    SealedTable(
        inbound,
        "id",
        (Sealed("number_sealed", ("inbound", "number"), _INDEX), Sealed("body_sealed", ("inbound", "body"))),
        # A STOP from a number that nobody had counts for whoever is put on it later.
        first="contact_ids = '{}' OR received_at > (SELECT max(received_at) FROM notifier.inbound) - interval '2 days'",
    ),
    SealedTable(
        attempt,
        "id",
        (
            Sealed("number_sealed", ("attempt", "number"), ("number_index", "attempt.number")),
            Sealed("sender_sealed", ("attempt", "sender")),
            Sealed("body_sealed", ("attempt", "body"), ("body_index", "attempt.body")),
        ),
        first="started_at > (SELECT max(started_at) FROM notifier.attempt) - interval '2 days'",
    ),
    SealedTable(consent, "id", (Sealed("how_sealed", ("consent", "how")), Sealed("to_whom_sealed", ("consent", "to_whom")))),
    SealedTable(label, "medication_id", (Sealed("text_sealed", ("label", "text")),)),
)
