"""Who is in a rehearsal: what was read from the files, with what they leave out made up, and each assumption as a sentence.

A request without a patient gets a made-up one, a care team that nobody holds likewise; consent is assumed. A consent that a file
says was denied stays denied: then the rehearsal shows that nothing goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from services.notifier import numbers
from shared.errors import DomainError
from steadypath.enrol.intake import Body, PatientIntake, PersonIntake
from steadypath.enrol.outcome import Row
from steadypath.enrol.sources import Lot, Reading
from steadypath.sample.loader import read

#: Whom `up` and a rehearsal make for every clinic.
ON_CALL = "on-call"
#: Area codes whose numbers 555-0100 to 555-0199 are kept free for fiction (NANPA): nobody has the numbers that we make up.
_AREAS = ("202", "206", "212", "213", "303", "305", "312", "404", "415", "503", "512", "602", "612", "617", "702", "713", "808")


@dataclass(frozen=True)
class Player:
    """A patient of the rehearsal. `id` is the file's, or `rehearsal-N`; empty for one who is refused as a whole. `called` is
    what the file calls one whom it does not hold; `zone` is IANA."""

    id: str
    zone: str
    number: str | None
    lot: Lot
    called: str | None = None


@dataclass(frozen=True)
class Cast:
    """`assumed`: what was made up, a sentence each. `loose`: rows of no patient. `people` come with their rows."""

    players: tuple[Player, ...]
    people: tuple[PersonIntake, ...]
    loose: tuple[Row, ...]
    assumed: tuple[str, ...]

    @property
    def patients(self) -> tuple[Player, ...]:
        """Who may get texts, each once; of one whom files of both formats hold, the part that is sent last."""
        return tuple({one.id: one for one in self.players if one.id}.values())

    def reading(self, players: Iterable[Player], *, with_people: bool) -> Reading:
        """Those players as something that can be enrolled."""
        lots = [player.lot for player in players]
        whole, parts = [lot for lot in lots if lot.whole], [lot for lot in lots if not lot.whole]
        return Reading(self.people if with_people else (), (iter(whole), iter(parts)), self.loose if with_people else ())

    def zone_of(self, person: str, clinic_zone: str) -> str:
        """Where a member of the care team is."""
        found = next((one.body.get("zone") for one in self.people if one.id == person), None)
        return str(found or clinic_zone)


def cast(reading: Reading, first_day: date, zone: str, country: str) -> Cast:
    """Everybody in the files. `zone` (IANA) is for patients of whom nothing says one; `country` the clinic's."""
    return _Casting(reading, first_day, zone, country).cast()


@dataclass
class _Casting:
    reading: Reading
    first_day: date
    zone: str
    country: str
    assumed: list[str] = field(default_factory=list)
    no_team: list[str] = field(default_factory=list)
    no_consent: list[str] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)
    made_up: int = 0

    def cast(self) -> Cast:
        lots = [lot for stream in self.reading.streams for lot in stream]
        self._free = _free_numbers(_numbers_in(lots, self.reading.people, self.country))
        self._held_ids = {lot.intake.id for lot in lots if lot.intake.contact is not None}
        players = [self._player(lot) for lot in lots]
        people = [self._person(one) for one in self.reading.people]
        people += [self._stranger(external) for external in self.unknown]
        self._sum_up()
        return Cast(tuple(players), tuple(people), tuple(self.reading.rows), tuple(self.assumed))

    def _player(self, lot: Lot) -> Player:
        intake = lot.intake
        if intake.contact is None and not _nothing_of(intake):
            return self._unheld(lot)
        if intake.contact is None or intake.id is None:
            return Player("", self.zone, None, lot)  # refused as a whole: its rows say so
        return self._held(lot, intake.id, dict(intake.contact))

    def _unheld(self, lot: Lot) -> Player:
        """Somebody whom the files do not hold: all of them is made up."""
        external, called = self._new_id(), lot.intake.id
        number = next(self._free)
        contact: Body = {"name": external, "phone": number, "privacy": "discreet", "consent": self._consent()}
        rows = tuple(replace(row, outcome="enrolled") if row.outcome == "draft" else row for row in lot.intake.rows)
        whose = f"for the patient {called}, whom the files do not hold" if called else "for a request that names no patient"
        self.assumed.append(f"{external} is made up {whose}, in {self._zone_in(lot.intake.plan)}, with consent.")
        return self._ready(replace(lot, intake=replace(lot.intake, id=external, contact=contact, rows=rows)), number, called)

    def _new_id(self) -> str:
        while True:
            self.made_up += 1
            if (found := f"rehearsal-{self.made_up}") not in self._held_ids:
                return found

    def _held(self, lot: Lot, external: str, contact: Body) -> Player:
        if not contact.get("phone"):
            contact["phone"] = next(self._free)
            self.assumed.append(f"{external} gets a made-up phone number: the file has none.")
        consent = contact.get("consent")
        if "consent" not in contact or (consent and date.fromisoformat(consent["given_on"]) > self.first_day):
            contact["consent"] = self._consent()
            self.no_consent.append(external)
        elif consent is None:
            self.assumed.append(f"{external} has not agreed to texts, says the file: none go.")
        if lot.intake.plan is not None and not lot.intake.plan.get("zone"):
            self.assumed.append(f"{external} is taken to be in {self.zone}: nothing says where (--zone does).")
        return self._ready(replace(lot, intake=replace(lot.intake, contact=contact)), _e164(contact, self.country), None)

    def _ready(self, lot: Lot, number: str | None, called: str | None) -> Player:
        intake = lot.intake
        plan: dict[str, Any] | None = None
        if intake.plan is not None:
            plan = {**intake.plan, "zone": self._zone_in(intake.plan)}
        if not intake.care_team:
            self.no_team.append(str(intake.id))
        known = {one.id for one in self.reading.people} | {ON_CALL}
        self.unknown.update({member["person"]: None for member in intake.care_team if member["person"] not in known})
        if intake.paused:
            self.assumed.append(f"{intake.id}'s plan is on hold: nothing of it goes until somebody resumes it.")
        return Player(str(intake.id), self._zone_in(plan), number, replace(lot, intake=replace(intake, plan=plan)), called)

    def _zone_in(self, plan: Body | None) -> str:
        return str((plan or {}).get("zone") or self.zone)

    def _consent(self) -> Body:
        return {"given_on": self.first_day.isoformat(), "how": "assumed for a rehearsal", "to_whom": "nobody"}

    def _person(self, one: PersonIntake) -> PersonIntake:
        if one.body.get("phone"):
            return one
        self.assumed.append(f"{one.id} of the care team gets a made-up phone number: the file has none.")
        return replace(one, body={**one.body, "phone": next(self._free)}, row=replace(one.row, outcome="enrolled"))

    def _stranger(self, external: str) -> PersonIntake:
        self.assumed.append(f"{external} of the care team is made up: the files do not hold them.")
        body = {"name": external, "phone": next(self._free), "zone": self.zone, "roles": ["prescriber"], "language": "en"}
        return PersonIntake(external, body, Row("", f"person/{external}", "enrolled"))

    def _sum_up(self) -> None:
        if self.no_consent:
            self.assumed.append(f"Consent is assumed for {_names(self.no_consent)}.")
        if self.no_team:
            self.assumed.append(f"The clinic's on-call clinician, made up, is the care team of {_names(self.no_team)}.")


def _nothing_of(intake: PatientIntake) -> bool:
    return intake.plan is None and not intake.care_team


def _names(externals: Sequence[str]) -> str:
    first = ", ".join(externals[:3])
    return first if len(externals) <= 3 else f"{first} and {len(externals) - 3} more"


def _e164(contact: Body, country: str) -> str | None:
    try:
        return numbers.e164(contact["phone"], country=contact.get("country") or country, element="phone")
    except DomainError:
        return None  # the notifier refuses it, and names the row


def _numbers_in(lots: Iterable[Lot], people: Iterable[PersonIntake], country: str) -> frozenset[str]:
    bodies = [lot.intake.contact for lot in lots if lot.intake.contact] + [one.body for one in people]
    return frozenset(number for body in bodies if body.get("phone") and (number := _e164(body, country)))


def _free_numbers(taken: frozenset[str]) -> Iterator[str]:
    """Numbers that nobody has. A rehearsal of more than these would show them twice: then patients share a phone."""
    clinic = read("clinic")
    own = clinic["clinic"]["notifier"]
    kept = {*taken, own["sender"], own["phone_for_help"], *(person["phone"] for person in clinic["people"])}
    while True:
        for last in range(100):
            for area in _AREAS:
                number = f"+1{area}55501{last:02d}"
                if number not in kept:
                    yield number
