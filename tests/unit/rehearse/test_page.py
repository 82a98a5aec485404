"""The page: whole, well formed, and inert whatever the story holds."""

from __future__ import annotations

import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

from hypothesis import given, settings

from steadypath.rehearse.page import page
from steadypath.rehearse.story import Rehearsed, Reply, Story
from steadypath.rehearse.words import legible
from tests.unit.rehearse.stories import MONDAY, dose, moment, page_to_team, stories, story, withheld

_OPEN_ONLY = {"meta", "br"}
_OURS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "article", "section", "div"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("h1", "h2", "h3", "p", "ul", "ol", "li", "span", "b", "em", "q", "a", "time", "blockquote"),
}


class Reader(HTMLParser):
    """The text of a page, its elements and attributes; fails on what is not nested."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[tuple[dict[str, str | None], str]] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "td":
            self.cells.append((dict(attrs), ""))
        if tag not in _OPEN_ONLY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)
        if "td" in self.open:
            self.cells[-1] = (self.cells[-1][0], self.cells[-1][1] + " " + data)


@settings(deadline=None)
@given(stories())
def test_every_text_reply_and_reason_is_there(told: Story) -> None:
    seen = Reader(page(told)).texts
    for text in told.texts:
        assert text.text is None or legible(text.text, keep="\n") in seen
        assert any(legible(text.why, keep="\n") in each for each in seen)
    for reply in told.replies:
        assert legible(reply.text, keep="\n") in seen
    assert {legible(sentence, keep="\n") for sentence in told.assumed} <= set(seen)


@settings(deadline=None)
@given(stories())
def test_nothing_of_a_story_becomes_markup(told: Story) -> None:
    source = page(told)
    read = Reader(source)
    assert read.names <= _OURS
    assert not {name for name, _ in read.attributes if name.startswith("on") or name in {"src", "srcset", "action"}}
    assert all(value.startswith("#patient-") for name, value in read.attributes if name == "href")
    assert all(re.fullmatch(r"width:\d{1,3}%", value) for name, value in read.attributes if name == "style")
    source.encode("utf-8")


def test_hostile_bodies_are_text() -> None:
    hostile = '</style><script>alert(1)</script><img src=x onerror="alert(1)">\' & \x00'
    told = story(
        dose(moment(MONDAY, 8), hostile),
        page_to_team(moment(MONDAY, 9), text=hostile),
        withheld(moment(MONDAY, 10), hostile),
        replies=(Reply(moment(MONDAY, 11), "maya", hostile),),
    )
    told = replace(told, patients=(*told.patients, Rehearsed(hostile, "Europe/Berlin", 6)), assumed=(hostile,))
    source = page(told)
    assert "<script" not in source
    assert "<img" not in source
    assert "\x00" not in source
    assert source.count("</style>") == 1
    assert Reader(source).names <= _OURS


def test_lines_of_a_body_stay_lines() -> None:
    read = Reader(page(story(dose(moment(MONDAY, 8), "one\ntwo"), withheld(moment(MONDAY, 9), "three\nfour"))))
    assert {"one\ntwo", "three\nfour"} <= set(read.texts)


def test_nothing_is_fetched_and_nothing_runs() -> None:
    source = page(story(dose(moment(MONDAY, 8))))
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">' in source
    assert not re.search(r"<script|<link|<iframe|url\(|@import|https?:", source)


def test_the_day_of_a_clock_change_is_marked_in_words() -> None:
    marked = [text for attributes, text in Reader(page(story(weeks=2))).cells if attributes.get("class") == "changed"]
    assert [text.split() for text in marked] == [["14", "clocks", "forward", "02:00", "→", "03:00"]]


def test_the_week_stands_against_the_cap() -> None:
    read = Reader(page(story(*(dose(moment(MONDAY, hour)) for hour in (8, 9, 10)), cap=3)))
    assert [text.split() for attributes, text in read.cells if attributes.get("class") == "cap"] == [["3", "of", "21"]]
    assert ("style", "width:14%") in read.attributes
    assert "cap reached" in read.texts


def test_what_was_not_sent_says_so_and_why() -> None:
    read = Reader(page(story(withheld(moment(MONDAY, 8), "Texts are paused."))))
    assert read.cells[0][1].split() == ["8", "08:00", "dose", "withheld"]
    assert "dose to the patient, withheld" in read.texts
    assert "Texts are paused." in read.texts


def test_the_care_team_is_beside_the_week_and_below_on_its_own_clock() -> None:
    read = Reader(page(story(page_to_team(moment(MONDAY, 17, zone="America/Chicago"), "America/Chicago"))))
    assert [text.split() for attributes, text in read.cells if attributes.get("class") == "heard"] == [
        ["Mon", "8", "Mar", "18:00", "Steadypath", "A7K2,", "high"]
    ]
    assert " Mon 8 Mar 17:00 America/Chicago" in read.texts
