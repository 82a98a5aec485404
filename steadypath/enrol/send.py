"""Sends what was read: validation in all three services first, contacts and care teams next, plans (which start the texts) last.

In chunks, so that memory is bounded and 500 patients cost a handful of requests. A run that was killed is finished by the next:
what is there is `unchanged`, the rest goes in. With `all_or_nothing` the order holds for all files together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from steadypath.enrol.desk import Answer, Desk
from steadypath.enrol.intake import Body, ConsentGiven, PersonIntake
from steadypath.enrol.outcome import Row
from steadypath.enrol.settle import Progress, refused_for
from steadypath.enrol.sources import Lot, Reading

#: Patients a chunk: one transaction in each service, well under its time limit.
CHUNK = 250
#: Chunks under way at once: while the database writes one, the next is read and validated.
_AHEAD = 2
T = TypeVar("T")


@dataclass(frozen=True)
class Options:
    """`check`: nothing is written. `consent`: what --consent recorded for patients whose file has none."""

    check: bool = False
    all_or_nothing: bool = False
    consent: ConsentGiven | None = None

    @property
    def passes(self) -> int:
        """How often each patient comes by."""
        return 3 if self.all_or_nothing and not self.check else 1


_ANOTHER = ("*", "Another row of these files is refused, and --all-or-nothing was asked for.", "files without a refused row")


class Sender:
    """One run. `read` reads all files anew; `done` hears of every patient that has come by."""

    def __init__(
        self, desk: Desk, read: Callable[[], Reading], options: Options, done: Callable[[int], None] = lambda _: None
    ) -> None:
        self._desk, self._read, self._options, self._done = desk, read, options, done
        self._people: frozenset[str] = frozenset()
        self._calls = ThreadPoolExecutor(max_workers=3 * _AHEAD)
        self._chunks = ThreadPoolExecutor(max_workers=_AHEAD)

    def run(self) -> Iterator[Row]:
        """Does it all; yields the rows as they become final. Raises CommandError where a service stays away."""
        with self._calls, self._chunks:
            yield from self._all_or_nothing() if self._options.passes > 1 else self._in_chunks()

    # --- patient by patient ---------------------------------------------------------------------------------------------------

    def _in_chunks(self) -> Iterator[Row]:
        reading = self._read()
        good, refused = self._checked_people(reading.people)
        loose = [*reading.rows, *refused, *([one.row for one in good] if self._options.check else self._put_people(good))]
        yield from (row for row in loose if not _is_medication(row))
        anything = False
        for one in self._each(self._whole_way, reading):
            rows = one.rows()
            anything = anything or any(row.outcome == "enrolled" for row in rows)
            yield from rows
        yield from (_if_new(row, anything) for row in loose if _is_medication(row))

    def _whole_way(self, lots: Sequence[Lot]) -> list[Progress]:
        chunk = self._validated(lots)
        if not self._options.check:
            self._put_contacts(chunk)
            self._put_plans(chunk)
        return chunk

    # --- everything or nothing ------------------------------------------------------------------------------------------------

    def _all_or_nothing(self) -> Iterator[Row]:
        """Three readings: all valid; all contacts, labels and care teams stored; then all plans."""
        reading = self._read()
        good, refused = self._checked_people(reading.people)
        loose, no = [*reading.rows, *refused], dict[int, tuple[str, str, str | None]]()
        is_bad = any(row.outcome == "refused" for row in loose)
        for number, one in enumerate(self._each(self._validated, reading)):
            is_bad = is_bad or any(row.outcome == "refused" for row in one.rows())
            if one.refused is not None:
                no[number] = one.refused
        if is_bad:
            yield from self._nothing(no)
            return
        loose += self._put_people(good)
        stored = dict[int, Stored]()
        for number, one in enumerate(self._each(self._stored, self._read())):
            stored[number] = Stored(one.contact, one.team, one.refused)
        yield from self._activated(stored, loose)

    def _nothing(self, no: dict[int, tuple[str, str, str | None]]) -> Iterator[Row]:
        reading = self._read()
        _, refused = self._checked_people(reading.people)
        named = {row.item for row in refused}
        rest = [one.row for one in reading.people if one.row.item not in named]
        for row in (*reading.rows, *rest):
            yield row if row.outcome == "refused" else refused_for(row, _ANOTHER)
        yield from refused
        for number, lot in enumerate(lot for stream in reading.streams for lot in stream):
            yield from Progress(lot, refused=no.get(number, _ANOTHER)).rows()

    def _activated(self, stored: dict[int, Stored], loose: Sequence[Row]) -> Iterator[Row]:
        """Plans last; none where a single contact could not be stored after all."""
        numbers = iter(range(len(stored)))
        failed = any(one.refused is not None for one in stored.values()) or any(row.outcome == "refused" for row in loose)

        def activate(lots: Sequence[Lot]) -> list[Progress]:
            chunk = [Progress(lot, **vars(stored[next(numbers)])) for lot in lots]
            if failed:
                for one in chunk:
                    one.refuse(*_ANOTHER)
            self._put_plans(chunk)
            return chunk

        yield from (row for row in loose if not _is_medication(row))
        anything = False
        for one in self._each(activate, self._read(), ahead=1):
            rows = one.rows()
            anything = anything or any(row.outcome == "enrolled" for row in rows)
            yield from rows
        yield from (_if_new(row, anything) for row in loose if _is_medication(row))

    def _stored(self, lots: Sequence[Lot]) -> list[Progress]:
        chunk = [Progress(lot) for lot in lots]
        self._put_contacts(chunk)
        return chunk

    # --- steps ----------------------------------------------------------------------------------------------------------------

    def _each(self, work: Callable[[Sequence[Lot]], list[Progress]], reading: Reading, ahead: int = _AHEAD) -> Iterator[Progress]:
        """Each patient after the work, in the order of the files. One stream is through before the next begins: the same
        patient may be in both."""
        for stream in reading.streams:
            pending: deque[Future[list[Progress]]] = deque()
            for lots in _cut(stream):
                pending.append(self._chunks.submit(work, lots))
                if len(pending) >= ahead:
                    yield from self._through(pending.popleft())
            while pending:
                yield from self._through(pending.popleft())

    def _through(self, chunk: Future[list[Progress]]) -> list[Progress]:
        found = chunk.result()
        self._done(len(found))
        return found

    def _checked_people(self, people: Sequence[PersonIntake]) -> tuple[list[PersonIntake], list[Row]]:
        good, refused = list[PersonIntake](), list[Row]()
        for part in _cut(people):
            answers = self._desk.people([_person(one) for one in part], dry_run=True)
            for one, answer in zip(part, answers, strict=True):
                if answer["outcome"] == "refused":
                    refused.append(refused_for(one.row, (answer["element"], answer["reason"], answer["accepted"])))
                else:
                    good.append(one)
        self._people = frozenset(one.id for one in good)
        return good, refused

    def _put_people(self, people: Sequence[PersonIntake]) -> Iterator[Row]:
        for part in _cut(people):
            answers = self._desk.people([_person(one) for one in part], dry_run=False)
            for one, answer in zip(part, answers, strict=True):
                if answer["outcome"] == "refused":
                    yield refused_for(one.row, (answer["element"], answer["reason"], answer["accepted"]))
                elif one.row.outcome == "draft":
                    yield one.row
                else:
                    yield replace(one.row, outcome="unchanged" if answer["outcome"] == "unchanged" else "enrolled")

    def _validated(self, lots: Sequence[Lot]) -> list[Progress]:
        chunk = [Progress(lot) for lot in lots]
        self._know_care_teams(chunk)
        asked = _asked(chunk)
        calls = [
            (part, some, self._calls.submit(put, [make(one) for one in some], dry_run=True))
            for part, some, put, make in (
                ("contact", asked, self._desk.contacts, self._contact),
                ("team", [one for one in asked if one.lot.intake.care_team], self._desk.care_teams, _team),
                ("plan", [one for one in asked if one.lot.intake.plan is not None], self._desk.plans, _plan),
            )
        ]
        for part, some, call in calls:
            for one, answer in zip(some, call.result(), strict=True):
                one.hear(part, answer)
        return chunk

    def _know_care_teams(self, chunk: Sequence[Progress]) -> None:
        for one in chunk:
            for place, member in enumerate(one.lot.intake.care_team):
                if member["person"] not in self._people and not self._desk.knows_person(member["person"]):
                    element = f"care_team[{place}].person" if one.lot.whole else "CareTeam.participant.member"
                    one.refuse(element, "Nobody of the clinic has this id.", "one of people, or somebody whom the clinic knows")

    def _put_contacts(self, chunk: Sequence[Progress]) -> None:
        some = _asked(chunk)
        teams = [one for one in some if one.lot.intake.care_team]
        put = self._calls.submit(self._desk.care_teams, [_team(one) for one in teams], dry_run=False)
        answers = self._desk.contacts([self._contact(one) for one in some], dry_run=False)
        for one, answer in zip(some, answers, strict=True):
            one.hear("contact", answer)
        for one, answer in zip(teams, put.result(), strict=True):
            one.hear("team", answer)

    def _put_plans(self, chunk: Sequence[Progress]) -> None:
        some = [one for one in _asked(chunk) if one.lot.intake.plan is not None]
        for one, answer in zip(some, self._desk.plans([_plan(one) for one in some], dry_run=False), strict=True):
            one.hear("plan", answer)

    def _contact(self, one: Progress) -> Body:
        intake, given = one.lot.intake, self._options.consent
        contact = dict(intake.contact) if intake.contact is not None else None
        if contact is not None and not one.lot.whole and contact.get("phone") is None:
            contact.pop("phone", None)  # a resource that names no phone says nothing of the one that staff put down
        for_all = {"given_on": given.given_on.isoformat(), "how": given.how, "to_whom": given.to_whom} if given else None
        return {
            "patient": intake.id,
            "contact": contact,
            "consent_if_none": for_all is not None and contact is not None and contact.get("consent") == for_all,
            "labels": dict(intake.labels),
        }


@dataclass(frozen=True)
class Stored:
    """What is kept of a patient between storing the contact and activating the plan."""

    contact: Answer
    team: Answer
    refused: tuple[str, str, str | None] | None


def _asked(chunk: Sequence[Progress]) -> list[Progress]:
    """Those of whom there is something to send."""
    return [one for one in chunk if one.refused is None and one.lot.intake.id is not None and _holds_anything(one.lot)]


def _holds_anything(lot: Lot) -> bool:
    one = lot.intake
    return one.contact is not None or one.plan is not None or bool(one.care_team) or bool(one.labels)


def _person(one: PersonIntake) -> Body:
    return {"person": one.id, "contact": one.body}


def _team(one: Progress) -> Body:
    return {"patient": one.lot.intake.id, "care_team": {"chain": list(one.lot.intake.care_team)}}


def _plan(one: Progress) -> Body:
    intake = one.lot.intake
    kind = {"whole": one.lot.whole, "starts_assumed": intake.starts_assumed, "paused": intake.paused}
    return {"patient": intake.id, "plan": intake.plan, **kind}


def _if_new(row: Row, anything: bool) -> Row:
    """A resource that is stored with others (a Medication): new where any of those is."""
    return replace(row, outcome="unchanged") if row.outcome == "enrolled" and not anything else row


def _is_medication(row: Row) -> bool:
    return row.item is not None and row.item.startswith("Medication/")


def _cut(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
