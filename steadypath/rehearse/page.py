"""A rehearsal as one HTML page: no script, nothing fetched, all of the story escaped. For screens, paper and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from steadypath.rehearse import words
from steadypath.rehearse.calendar import Calendar, Day, Entry, Group, View, Week, view
from steadypath.rehearse.marks import Mark
from steadypath.rehearse.markup import Html, raw, tag, together
from steadypath.rehearse.story import Reply, Story, Text
from steadypath.rehearse.words import count

_STYLE = Path(__file__).with_name("page.css")
#: Whatever slips past escaping still runs and fetches nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(story: Story) -> str:
    """The whole document, UTF-8 to be."""
    shown = view(story)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", f"Rehearsal, {words.period(shown)}"),
        tag("style", raw(_STYLE.read_text("utf-8"))),
    )
    body = tag("body", _header(shown), tag("main", *_main(shown)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(shown: View) -> Html:
    who = count(len(shown.calendars), "patient; all times are the patient's own", "patients; all times are each patient's own")
    told = "Every text that would go out, from the real services on simulated time. Nobody has been texted."
    return tag(
        "header",
        tag("p", "Steadypath rehearsal", class_="brand"),
        tag("h1", words.period(shown)),
        tag("p", f"{told} {who}.", class_="told"),
    )


def _main(shown: View) -> Iterable[Html]:
    if len(shown.calendars) > 1:
        yield _overview(shown.calendars)
    for number, calendar in enumerate(shown.calendars, 1):
        yield _patient(calendar, number)
    if shown.elsewhere:
        yield _section("Not about one patient of this rehearsal", _list(map(_stray, shown.elsewhere)))
    if shown.story.assumed:
        items = [tag("li", sentence) for sentence in shown.story.assumed]
        yield _section("Assumed, as the files do not say it", tag("ul", *items, class_="assumed"))


def _overview(calendars: Sequence[Calendar]) -> Html:
    titles = ("Patient", "Texts", "Busiest day", "Care team hears", "Not sent", "Zone")
    head = tag("thead", tag("tr", *(tag("th", title, scope="col") for title in titles)))
    rows = [_overview_row(calendar, number) for number, calendar in enumerate(calendars, 1)]
    return _scrolling(tag("table", tag("caption", "All patients"), head, tag("tbody", *rows), class_="overview"), "All patients")


def _overview_row(calendar: Calendar, number: int) -> Html:
    busiest = f"{calendar.busiest} of {calendar.patient.cap_a_day}"
    numbers = (str(calendar.sent), busiest, str(len(calendar.heard)), str(calendar.withheld), calendar.patient.zone)
    link = tag("a", calendar.patient.id, href=f"#patient-{number}")
    return tag("tr", tag("th", link, scope="row"), *(tag("td", each) for each in numbers))


def _patient(calendar: Calendar, number: int) -> Html:
    title = tag("h2", calendar.patient.id, id=f"title-{number}")
    return tag(
        "article",
        tag("div", title, tag("p", calendar.patient.zone, class_="zone"), _sums(calendar), class_="patient"),
        _scrolling(_table(calendar), f"Calendar of {calendar.patient.id}"),
        _legend(calendar),
        tag("div", *_details(calendar), class_="details"),
        id=f"patient-{number}",
        aria_labelledby=f"title-{number}",
    )


def _scrolling(table: Html, label: str) -> Html:
    """Too wide for a small screen, a table scrolls by itself, by keyboard too."""
    return tag("div", table, class_="wide", tabindex="0", role="region", aria_label=label)


def _sums(calendar: Calendar) -> Html:
    cap = f"of {calendar.patient.cap_a_day} on the busiest day"
    sums = ((calendar.sent, "texts to the patient"), (calendar.busiest, cap), (len(calendar.heard), "to the care team"))
    last = ((calendar.withheld, "not sent"),) if calendar.withheld else ()
    return tag("ul", *(tag("li", tag("b", str(number)), f" {what}") for number, what in (*sums, *last)), class_="sums")


# --- the calendar ---------------------------------------------------------------------------------------------------------


def _table(calendar: Calendar) -> Html:
    days = [tag("th", f"{day.date:%a}", scope="col") for week in calendar.weeks[:1] for day in week.days]
    ends = [tag("th", title, scope="col") for title in ("Texts of cap", "The care team hears")]
    head = tag("thead", tag("tr", tag("th", "Week", scope="col"), *days, *ends))
    caption = tag("caption", f"Texts by week and day, {calendar.patient.zone}")
    return tag("table", caption, head, tag("tbody", *map(_week, calendar.weeks)), class_="calendar")


def _week(week: Week) -> Html:
    dates = words.span(week.days[0].date, week.days[-1].date)
    name = tag("th", tag("b", str(week.number)), tag("span", dates), scope="row")
    heard = tag("td", _list(map(_brief, week.heard)) if week.heard else "", class_="heard")
    return tag("tr", name, *map(_day, week.days), tag("td", *_against_cap(week), class_="cap"), heard)


def _day(day: Day) -> Html:
    date = tag(
        "time",
        words.short_day(day.date) if day.date.day == 1 else str(day.date.day),
        datetime=day.date.isoformat(),
        class_="date",
    )
    notes = [tag("p", str(day.change), class_="note clocks")] if day.change else []
    if day.full:
        notes.append(tag("p", "cap reached", class_="note full"))
    chips = [_reply(entry.what, entry) if isinstance(entry.what, Reply) else _chip(entry.what, entry) for entry in day.entries]
    entries = [tag("ul", *chips)] if chips else []
    return tag("td", date, *notes, *entries, class_="changed" if day.change else "")


def _chip(text: Text, entry: Entry) -> Html:
    fate = words.fate(entry)
    said = [" ", tag("em", fate)] if fate else []
    classes = f"chip {entry.mark.name}{' unsent' if fate else ''}"
    return tag(
        "li", tag("time", entry.clock), " ", tag("span", entry.mark.word), *said, class_=classes, title=text.text or text.why
    )


def _reply(reply: Reply, entry: Entry) -> Html:
    return tag("li", tag("time", entry.clock), " ", tag("q", reply.text), class_="chip reply", title=entry.mark.word)


def _against_cap(week: Week) -> Iterable[Html]:
    share = min(100, round(100 * week.counted / week.cap)) if week.cap else 0
    yield tag("span", tag("b", str(week.counted)), f" of {week.cap}", class_="of")
    yield tag("span", tag("span", style=f"width:{share}%"), class_="bar", aria_hidden="true")


def _brief(entry: Entry) -> Html:
    at = tag("b", words.when(entry))
    return tag("li", at, tag("span", entry.what.text or "", class_="brief"))


def _legend(calendar: Calendar) -> Html:
    marks = [_example(mark) for mark in calendar.marks]
    states = sorted({words.fate(entry) for day in calendar.days for entry in day.entries} - {""})
    unsent = [tag("li", f"dashed: {' or '.join(states)}", class_="chip unsent")] if states else []
    return tag("ul", *marks, *unsent, class_="legend", aria_label="What the marks mean")


def _example(mark: Mark) -> Html:
    whose = " to the care team" if mark.name == "care-team" else ""
    return tag("li", tag("span", f"{mark.word}{whose}"), class_=f"chip {mark.name}")


# --- in full --------------------------------------------------------------------------------------------------------------


def _details(calendar: Calendar) -> Iterable[Html]:
    if calendar.heard:
        yield _section("What the care team hears", _list(map(_single, calendar.heard)), "to-team")
    groups = (
        ("What is said to the patient", calendar.said),
        ("What is answered", calendar.answered),
        ("Not sent, and why", calendar.unsent),
    )
    yield tag("div", *(_section(title, _list(map(_group, group))) for title, group in groups if group))


def _section(title: str, body: Html, name: str = "") -> Html:
    return tag("section", tag("h3", title), body, class_=name)


def _list(items: Iterable[Html]) -> Html:
    return tag("ol", *items, class_="list")


def _group(group: Group) -> Html:
    first = group.entries[0]
    fate = words.fate(first)
    label = f"{group.mark.word} {words.receiver(first)}, {fate}" if fate else group.mark.word
    return _item(tag("p", _label(label, first), f" {words.how_often(group)}"), group.text, words.because(group))


def _single(entry: Entry, about: str = "") -> Html:
    what = entry.what
    label = ", ".join(filter(None, (entry.mark.word, words.fate(entry))))
    whys = (what.why,) if isinstance(what, Text) and what.why else ()
    return _item(tag("p", _label(label, entry), f" {words.own_when(entry)}{about}"), what.text or "", whys)


def _stray(entry: Entry) -> Html:
    return _single(entry, f", about {entry.what.patient}" if entry.what.patient is not None else "")


def _label(label: str, entry: Entry) -> Html:
    return tag("span", label, class_=f"chip {entry.mark.name}{' unsent' if words.fate(entry) else ''}")


def _item(head: Html, text: str, whys: Iterable[str]) -> Html:
    quoted = [tag("blockquote", text)] if text else []
    return tag("li", together(head, *quoted, *(tag("p", why, class_="why") for why in whys)))
