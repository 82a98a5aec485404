"""What a notice says, in fixed words: one sentence for each kind. docs/operations/incidents.md has a section for each, with what
to look at and what to do (a test compares). What differs between two notices of a kind are their `details`."""

from __future__ import annotations

from collections.abc import Mapping

RUNBOOK = "docs/operations/incidents.md"

#: By kind. Raising one that is not here is an error of ours: `ops_say` refuses it.
WORDS: Mapping[str, str] = {
    "test": "A test of the ops channel. Nothing is wrong.",
    "notices-missed": "Notices of the last day did not arrive by one of the ops channels.",
    "key-parked": "An event or due work could not be handled: its patient's automatic texts wait until a person decides.",
    "stuck": "A part of a service stood still; the service starts itself again if that lasts.",
    "outbox-old": "What a service has to say does not reach Kafka.",
    "outbox-well": "What a service has to say reaches Kafka again.",
    "channel-down": "The SMS channel is down: no text goes out.",
    "channel-well": "The SMS channel works again.",
    "provider-refuses-configuration": "The SMS provider refuses a text because of how the account is set up.",
    "text-unconfirmed": "Nobody knows whether a text went out; it is never sent again by itself.",
    "duplicate-sid": "The SMS provider reported one text under two ids: a patient may have got it twice.",
    "sid-without-attempt": "The SMS provider reported a text under an id that does not fit ours.",
    "no-template": "A text could not go because its wording is missing.",
    "alert-unanswered": "An alert went through everybody who could be asked and nobody acknowledged it.",
    "alert-without-recipient": "An alert has nobody whom it could go to.",
    "crisis-not-flagged": "Risk wording was not taken over as an alert in time: the crisis contact is being paged directly.",
    "risk-from-no-patient": "Risk wording came from a number that is no patient's.",
    "risk-from-unknown-number": "Risk wording came from a number that nobody knows: see the crisis alert on the care board.",
    "risk-not-read": "Risk wording from a number that is no patient's has not been read by a person.",
    "inbound-not-handled": "A text of a patient could not be read by our own code: a person must read it.",
    "opt-in-order-unknown": "STOP and START of one number came without an order: it stays opted out until staff say otherwise.",
    "text-withheld-channel-down": "A crisis alert could not be texted while the SMS channel was down: call.",
    "text-withheld-switched-off": "A crisis alert was not texted because everything is switched off: call.",
    "text-withheld-no-contact": "An alert could not be texted because its recipient has no number.",
    "text-withheld-opted-out": "An alert could not be texted because its recipient has opted out.",
    "text-withheld-number-suspect": "An alert could not be texted because its recipient's number does not work.",
    "text-withheld-fuse": "A patient would have got twice the dose texts of the plan: the rest of the day's are withheld.",
    "restored": "A service has found its way back from a restored database: look at what it found, and at the switch.",
    "restored-contact": "A contact was changed since the backup: it is not texted until staff have put its number in again.",
    "restored-plan": "A plan was put in since the backup and is lost: it must be put in again.",
    "switch-turned": "The switch that stops texts was turned.",
    "switch-still-off": "Texts are still switched off.",
}


def words(kind: str) -> str:
    """The sentence of a kind; of one that an older release wrote and this one does not know, its own name."""
    return WORDS.get(kind, kind.replace("-", " "))


def runbook(kind: str) -> str:
    """Where it says what to do."""
    return f"{RUNBOOK}#{kind}"
