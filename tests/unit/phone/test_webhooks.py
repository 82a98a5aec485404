"""What the simulator makes of a webhook's answer, and when it tries again."""

from __future__ import annotations

import pytest

from steadypath.phone.webhooks import may_retry, read_twiml

URL = "https://clinic.example/notifier/twilio/status/1"


def test_twiml_texts_are_read_in_both_forms() -> None:
    body = '<?xml version="1.0"?><Response><Message>One &amp; two</Message><Message><Body>Three</Body></Message></Response>'
    assert read_twiml(body) == ("One & two", "Three")
    assert read_twiml("<Response/>") == ()


@pytest.mark.parametrize(
    ("body", "code"), [("<Response>", "12100"), ("<Answer/>", "12200"), ("<Response><Dial/></Response>", "12200")]
)
def test_twiml_that_twilio_would_not_take_is_named(body: str, code: str) -> None:
    with pytest.raises(ValueError, match=code):
        read_twiml(body)


@pytest.mark.parametrize(
    ("url", "failure", "before", "again"),
    [
        (URL, "ct", 0, True),
        (URL, "5xx", 0, True),
        (URL, "ct", 1, False),
        (URL, "4xx", 0, False),
        (URL, "rt", 0, False),
        (URL + "#rc=3&rp=all", "4xx", 2, True),
        (URL + "#rc=9&rp=all", "ct", 5, False),
        (URL + "#rc=0", "ct", 0, False),
        (URL + "#rc=x", "ct", 0, True),
    ],
)
def test_a_webhook_is_retried_once_unless_the_address_says_otherwise(url: str, failure: str, before: int, again: bool) -> None:
    assert may_retry(url, failure, before) is again
