"""Stories for the tests of both views: built by hand, and any that hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from steadypath.rehearse.story import Rehearsed, Reply, Story, Text

NEW_YORK = "America/New_York"
MONDAY = date(2027, 3, 8)
#: Clocks go forward in New York, 02:00 to 03:00.
SPRING = date(2027, 3, 14)
MAYA = Rehearsed("maya", NEW_YORK, 6)


def moment(day: date, hour: int, minute: int = 0, zone: str = NEW_YORK, fold: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone), fold=fold)


def dose(at: datetime, text: str = "Your 08:00 reminder.") -> Text:
    return Text(at, NEW_YORK, "patient", "maya", "dose-due", text, "sent", "It was due.")


def page_to_team(at: datetime, zone: str = NEW_YORK, patient: str | None = "maya", text: str = "Steadypath A7K2, high") -> Text:
    return Text(at, zone, "care-team", patient, "alert-raised", text, "sent", "Two days without an answer.")


def withheld(at: datetime, why: str) -> Text:
    return replace(dose(at), text=None, status="withheld", why=why)


def story(*texts: Text, replies: tuple[Reply, ...] = (), weeks: int = 1, first_day: date = MONDAY, cap: int = 6) -> Story:
    return Story(first_day, weeks, (replace(MAYA, cap_a_day=cap),), texts, replies, ())


_zones = st.sampled_from([NEW_YORK, "Europe/Berlin", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu"])
_minutes = st.integers(min_value=-3 * 24 * 60, max_value=17 * 24 * 60)
_words = st.text(min_size=1, max_size=40)
_kinds = st.sampled_from(["dose-due", "check-in-due", "contact-changed", "reply-received", "message-requested", "a-new-kind"])


@st.composite
def texts(draw: st.DrawFn) -> Text:
    zone = draw(_zones)
    at = (moment(MONDAY, 0, zone="UTC") + timedelta(minutes=draw(_minutes))).astimezone(ZoneInfo(zone))
    sent = draw(st.booleans())
    return Text(
        at,
        zone,
        to=draw(st.sampled_from(["patient", "care-team"])),
        patient=draw(st.sampled_from(["maya", "<b>leo", "nobody", None])),
        kind=draw(_kinds),
        text=draw(_words) if sent else None,
        status="sent" if sent else draw(st.sampled_from(["withheld", "expired"])),
        why=draw(_words),
        answer=draw(st.booleans()),
    )


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    at = (moment(MONDAY, 0, zone="UTC") + timedelta(minutes=draw(_minutes))).astimezone(ZoneInfo(NEW_YORK))
    return Reply(at, draw(st.sampled_from(["maya", "<b>leo", "nobody"])), draw(_words))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    patients = (MAYA, Rehearsed("<b>leo", "Australia/Lord_Howe", draw(st.integers(0, 3))))
    said = sorted(draw(st.lists(texts(), max_size=25)), key=lambda text: text.at)
    written = sorted(draw(st.lists(replies(), max_size=8)), key=lambda reply: reply.at)
    return Story(MONDAY, 2, patients, tuple(said), tuple(written), tuple(draw(st.lists(_words, max_size=2))))
