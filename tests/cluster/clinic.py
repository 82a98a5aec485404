"""Patients with stated plans in a world of replicas, and what the judge needs to know of them: through the public APIs, the
provider's ledger, and the oracle of tests/unit/scheduler, which reads the same statements without a line of the product."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.embedded.postgres import PostgresError
from shared.events.base import stable_id
from shared.events.registry import SERVICES
from shared.identity import clinic_id_of
from steadypath.sample.loader import read
from tests.cluster.judge import Due, Left, Said, Verdict, judge
from tests.simulation.canary import Canaries, search_files
from tests.support.cluster_world import World
from tests.support.waiting import wait_until
from tests.unit.scheduler.oracle import Entry, Oracle

Json = dict[str, Any]
ZONE = "America/New_York"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SLOTS = {"morning": "08:00", "noon": "12:00", "evening": "16:00", "night": "20:00"}
CHECK_IN = {"id": "mood", "instrument": "mood", "item": "mood", "first_day": 1, "every_days": 1, "time": "10:00"}
_NOTHING: Json = {part: [] for part in ("check_ins", "follow_ups", "appointments", "monitoring", "education", "reviews")}
SETTLES_WITHIN = 240.0


@dataclass(frozen=True)
class Patient:
    external: str
    number: str
    stated: Json
    since: datetime

    @property
    def id(self) -> str:
        return str(stable_id(clinic_id_of("clinic"), "patient", self.external))


class Clinic:
    """The patients of one world. `settle` waits until nothing is under way; `verdict` asks the judge."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.canaries = Canaries()
        self.patients: list[Patient] = []
        self._under_way = ""
        sample = read("clinic")
        for service, body in sample["clinic"].items():
            world.call("PUT", f"/{service}/clinic", body)
        for person in sample["people"]:
            world.call("PUT", f"/notifier/people/{person.pop('id')}", person)

    def enrol(self, many: int, *, check_in: bool = True) -> list[Patient]:
        """New patients, each with four doses a day and a check-in from the clinic's today on; everybody has heard of them."""
        new = [self._one(check_in=check_in) for _ in range(many)]
        self.patients += new
        self.settle()
        return new

    def _one(self, *, check_in: bool) -> Patient:
        world, now = self.world, self.world.now()
        number = self.canaries.number()
        patient = Patient(f"patient-{number[-4:]}-{number[2:5]}", number, self._stated(now, check_in=check_in), now)
        consent = {"given_on": now.date().isoformat(), "how": "paper form", "to_whom": "front desk"}
        contact = {"name": self.canaries.name(), "phone": number, "language": "en", "privacy": "discreet", "consent": consent}
        world.call("PUT", f"/notifier/patients/{patient.external}", contact)
        world.call("PUT", f"/scheduler/patients/{patient.external}/plan", patient.stated)
        return patient

    def _stated(self, now: datetime, *, check_in: bool) -> Json:
        drug = {
            "system": RXNORM,
            "code": self.canaries.code(),
            "display": self.canaries.drug(),
        }
        doses = [{"slot": slot, "quantity": "1", "unit": "tablet"} for slot in SLOTS]
        medicine = {"id": "m1", "kind": "steady", "code": drug, "steps": [{"from_day": 1, "doses": doses}]}
        today = now.astimezone(ZoneInfo(ZONE)).date().isoformat()
        asked = [CHECK_IN | {"answer_within": "PT4H"}] if check_in else []
        return {**_NOTHING, "zone": ZONE, "starts_on": today, "slots": SLOTS, "medicines": [medicine], "check_ins": asked}

    # -- waiting ---------------------------------------------------------------------------------------------------------------

    def settle(self, within: float = SETTLES_WITHIN) -> None:
        """Until nothing has been under way at two looks in a row, with nothing having moved in between."""
        seen: list[object] = [None]

        def quiet() -> bool:
            before, seen[0] = seen[0], self._standing()
            return seen[0] is not None and before == seen[0]

        try:
            wait_until(quiet, within=within, what="nothing is under way any more")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._under_way}") from None

    def _standing(self) -> object:
        """None while something is under way; else what would change if anything moved."""
        try:
            rows = self.world.database.sql(_UNDER_WAY, now=self.world.now().isoformat())
        except PostgresError as error:  # it may be the one that is away
            self._under_way = f"PostgreSQL: {error}"
            return None
        under_way, moved = rows.split("|")
        self._under_way = f"due work by service, texts, looks: {under_way}; unsent: {self._unsent()}"
        if under_way != "0,0,0,0,0" or self._unsent():
            return None
        if not self.world.kafka.caught_up():
            self._under_way = "records that a group has not committed"
            return None
        return moved, len(self.left())

    def _unsent(self) -> list[str]:
        """Services that have something to publish, or of which no replica can say."""
        found = []
        for service in SERVICES:
            said = [one.checks().get("outbox", {}).get("unsent") for one in self.world.all(service) if one.serving()]
            if not any(each == 0 for each in said):
                found.append(service)
        return found

    # -- judging ---------------------------------------------------------------------------------------------------------------

    def due(self) -> list[Due]:
        return [
            Due(one.number, _occurrence(one, entry), entry.kind, entry.at)
            for one in self.patients
            for entry in Oracle(one.stated, one.since.replace(second=0), self.world.now() + timedelta(minutes=1)).entries()
        ]

    def left(self) -> list[Left]:
        """What the provider took for these patients' phones."""
        numbers = {one.number for one in self.patients}
        with sqlite3.connect(f"file:{self.world.ledger}?mode=ro", uri=True) as ledger:
            rows = ledger.execute("SELECT clinical, data FROM entries WHERE kind = 'accepted' ORDER BY n").fetchall()
        ledger.close()
        taken = [(datetime.fromisoformat(at), json.loads(data)) for at, data in rows]
        return [Left(d["to"], d["sid"], at) for at, d in taken if d["direction"] == "outbound-api" and d["to"] in numbers]

    def said(self) -> list[Said]:
        return [
            Said(one.number, text["occurrence"], text["kind"], text["status"], text["provider_sid"], text["why"])
            for one in self.patients
            for text in self.world.call("GET", f"/notifier/messages?patient={one.external}&limit=2000")
        ]

    def expired(self) -> frozenset[str]:
        """What the scheduler itself said had passed."""
        rows = self.world.database.sql("SELECT convert_from(body, 'UTF8')::jsonb->>'occurrence_id' FROM scheduler.outbox "
                                       "WHERE type LIKE 'due-expired%'")  # fmt: skip
        return frozenset(rows.split())

    def verdict(self) -> Verdict:
        return judge(self.due(), self.left(), self.said(), self.expired())

    def good(self) -> Verdict:
        """Settles, judges, and fails the test with every fault; else what became of the due items."""
        self.settle()
        verdict = self.verdict()
        assert not verdict.faults, str(verdict)
        return verdict

    def leaks(self) -> list[str]:
        """Canaries in what the processes and the broker wrote."""
        return [str(leak) for leak in search_files(self.world.folder, self.canaries.needles(), leave_out=("phone.sqlite",))]


_UNDER_WAY = """
SELECT concat_ws(',',
  (SELECT count(*) FROM scheduler.due_work WHERE state = 'waiting' AND due_at <= :'now'),
  (SELECT count(*) FROM notifier.due_work WHERE state = 'waiting' AND due_at <= :'now'),
  (SELECT count(*) FROM adherence.due_work WHERE state = 'waiting' AND due_at <= :'now'),
  (SELECT count(*) FROM notifier.message
    WHERE state = 'attempting' OR (state = 'queued' AND due_at <= :'now' AND not_before <= :'now')),
  (SELECT count(*) FROM notifier.attempt WHERE look_at <= :'now')
), concat_ws(',',
  (SELECT max(seq) FROM scheduler.outbox), (SELECT max(seq) FROM notifier.outbox), (SELECT max(seq) FROM adherence.outbox),
  (SELECT count(*) FROM notifier.message), (SELECT max(changed_at) FROM notifier.message))
"""


def _occurrence(patient: Patient, entry: Entry) -> str:
    """By the published rule: patient, series, slot, local date; never the time of day."""
    kind = entry.kind.removesuffix("-due")
    dose = entry.kind == "dose-due"
    series = stable_id(patient.id, "doses") if dose else stable_id(patient.id, kind, entry.name)
    return str(stable_id(patient.id, series, entry.name if dose else kind, entry.day.isoformat()))


def at(world: World, wall: str, day: int = 0) -> datetime:
    """A wall time of the clinic on the `day`-th day from its first."""
    first = world.begins.astimezone(ZoneInfo(ZONE)).date()
    return datetime.fromisoformat(f"{(first + timedelta(days=day)).isoformat()}T{wall}").replace(tzinfo=ZoneInfo(ZONE))


def slots(day: int = 0) -> Sequence[str]:
    return ["08:00", "10:00", "12:00", "16:00", "20:00"]
