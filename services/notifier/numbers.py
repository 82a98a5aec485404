"""Phone numbers as E.164, checked when they come in. Errors name the element and never hold the number."""

from __future__ import annotations

import phonenumbers

from shared.errors import DomainError

ACCEPTED = "a phone number in E.164 (for example +1 and ten digits), or a national one of the contact's country"


def e164(raw: str, *, country: str | None, element: str) -> str:
    """The number as E.164. `country` (ISO 3166-1 alpha-2) is for numbers without a prefix.

    Only what cannot be a number is refused (length, prefix): numbering plans grow faster than any table, and the provider has
    the last word (21211 makes the number suspect). Raises DomainError (422) naming `element`.
    """
    try:
        parsed = phonenumbers.parse(raw, country)
    except phonenumbers.NumberParseException:
        raise DomainError(element, "This is no phone number.", accepted=ACCEPTED) from None
    if not phonenumbers.is_possible_number(parsed) or parsed.extension:
        raise DomainError(element, "This cannot be a phone number that takes texts.", accepted=ACCEPTED)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def is_country(code: str) -> bool:
    """Whether this is an ISO 3166-1 alpha-2 code that has phone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS
