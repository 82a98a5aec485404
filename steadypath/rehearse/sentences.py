"""Why a text went or did not go, one sentence for a person. The codes are those of services/notifier/domain/gate.py."""

from __future__ import annotations

_SENT = {
    "dose-due": "A dose of the plan was due.",
    "check-in-due": "A check-in of the plan was due.",
    "follow-up-due": "A follow-up of the plan was due.",
    "follow-up-overdue": "A follow-up had nothing on record by its deadline.",
    "appointment-reminder-due": "A booked visit was near.",
    "monitoring-due": "A lab or a vital sign was due.",
    "education-due": "A lesson of the plan was due.",
    "review-due": "The plan itself was to be looked at.",
    "contact-changed": "The number was new to the clinic: the first text says who writes and how to stop it.",
    "message-requested": "It followed from what the patient had answered, or had not.",
    "reply-received": "It answers what had just been written.",
    "risk-heard": "Risk wording was heard.",
    "preference-changed": "It confirms what had just been asked for.",
    "texts-paused": "It confirms the pause that had just been asked for.",
    "texts-resumed": "It confirms that the texts go on.",
    "patient-opted-out": "It confirms the opt-out that had just been asked for.",
    "patient-opted-in": "It confirms the opt-in that had just been asked for.",
    "alert-raised": "Somebody of the care team had to know.",
    "alert-escalated": "Nobody had acknowledged the alert in the time set for it.",
    "alert-acknowledged": "It confirms the acknowledgement.",
    "channel-incident": "The way to the provider was down.",
}
_NOT_SENT = {
    "no-contact": "The clinic has no number for it.",
    "no-consent": "No consent to texts is on record.",
    "opted-out": "The patient had opted out of all texts.",
    "quiet-hours": "It was the patient's night, and later it was of no use.",
    "over-cap": "The day's texts had reached the cap, and later it was of no use.",
    "fuse": "Far more dose texts than the plan has in a day: the fuse held it back and ops heard of it.",
    "old-plan-version": "The plan had changed since it was said due.",
    "plan-not-active": "The plan was not active.",
    "version-not-seen": "The plan's newest version had not been heard of in time.",
    "number-suspect": "The number is in doubt: somebody has to check it first.",
    "texts-paused": "The texts were paused.",
    "key-parked": "Something about this patient waits for a person, so routine texts wait as well.",
    "no-zone": "Nobody knows in which time zone the patient lives.",
    "too-late": "It could not go in time, and later it was of no use.",
    "asking-held": "The prescriber has to decide first, so nothing asks to take the dose.",
    "withdrawn": "The plan took it back before it went.",
    "switched-off": "All sending was switched off.",
    "channel-down": "The way to the provider was down.",
}


def sent(kind: str) -> str:
    """Why a text went; `kind` is the event that caused it."""
    return _SENT.get(kind, f"It followed from {kind}.")


def not_sent(status: str, why: str | None) -> str:
    """Why a text did not go. `status` is the notifier's word for its state, `why` its code."""
    if status == "carried":
        return "It went in one text together with others."
    if status == "rejected":
        return "The provider refused it."
    if status in ("unconfirmed", "attempting"):
        return "Whether the provider took it is not known, so it is never sent again."
    unsaid = "It could not go in time." if status == "expired" else "It was withheld."
    return _NOT_SENT.get(why or "", unsaid)
