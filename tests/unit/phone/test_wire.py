"""The checks that Twilio makes before it takes a text, and how it counts parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadypath.phone.wire import FIELDS, Refusal, is_number, read_create, segments

GOOD = {"To": "+14155550101", "From": "+14155550100", "Body": "Time for your 8:00 reminder."}


def refused_with(**changes: str | None) -> int:
    form = [(name, value) for name, value in {**GOOD, **changes}.items() if value is not None]
    with pytest.raises(Refusal) as caught:
        read_create(form)
    assert caught.value.body()["more_info"] == f"https://www.twilio.com/docs/errors/{caught.value.code}"
    assert caught.value.body()["status"] == caught.value.status == 400
    return caught.value.code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": None}, 21604),
        ({"To": "4155550101"}, 21211),
        ({"To": "+1415555010"}, 21211),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550002"}, 21612),
        ({"To": "+15005550003"}, 21408),
        ({"To": "+15005550004"}, 21610),
        ({"To": "+15005550009"}, 21614),
        ({"From": None}, 21603),
        ({"From": "clinic"}, 21212),
        ({"From": "+15005550007"}, 21606),
        ({"From": "+15005550008"}, 21611),
        ({"From": "+14155550101"}, 21266),
        ({"From": None, "MessagingServiceSid": "MGx"}, 21701),
        ({"Body": None}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"StatusCallback": "clinic/status"}, 21609),
        ({"ValidityPeriod": "0"}, 21911),
        ({"ValidityPeriod": "36001"}, 21911),
        ({"ValidityPeriod": "1.5"}, 21911),
        ({"Bodyy": "x"}, 20001),
        ({"Tags": "{}"}, 20001),
    ],
)
def test_a_request_that_twilio_would_refuse_is_refused_with_its_code(changes: dict[str, str | None], code: int) -> None:
    assert refused_with(**changes) == code


def test_a_good_request_is_read_whole() -> None:
    asked = read_create([*GOOD.items(), ("StatusCallback", "https://clinic.example/s/1"), ("ValidityPeriod", "3600")])
    assert (asked.to, asked.sender, asked.body) == tuple(GOOD.values())
    assert (asked.status_callback, asked.validity_seconds, asked.service_sid) == ("https://clinic.example/s/1", 3600, None)


def test_a_messaging_service_stands_in_for_the_sender() -> None:
    asked = read_create([("To", GOOD["To"]), ("MessagingServiceSid", "MG" + "0" * 32), ("Body", "x" * 1600)])
    assert asked.sender is None
    assert asked.validity_seconds == 36000


@given(st.text(min_size=1, max_size=20).filter(lambda name: name not in FIELDS))
def test_no_field_outside_the_specification_passes(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_create([*GOOD.items(), (name, "x")])
    assert caught.value.code == 20001


@given(st.from_regex(r"\+1[0-9]{0,14}", fullmatch=True))
def test_a_north_american_number_has_ten_digits(number: str) -> None:
    assert is_number(number) == (len(number) == 12)


@pytest.mark.parametrize(
    ("body", "parts"),
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("€" * 80, 1), ("€" * 81, 2), ("’" * 70, 1), ("’" * 71, 2),
     ("😀" * 35, 1), ("😀" * 36, 2), ("", 1)],
)  # fmt: skip
def test_parts_are_counted_as_3gpp_says(body: str, parts: int) -> None:
    assert segments(body) == parts


@given(st.text(max_size=400), st.text(max_size=10))
def test_a_longer_body_never_takes_fewer_parts(body: str, more: str) -> None:
    assert segments(body + more) >= segments(body)
