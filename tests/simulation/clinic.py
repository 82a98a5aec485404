"""A clinic as a test drives it: only the public HTTP APIs, the clock and the phones, as a user's own program would.

Every name, number, medicine and own words used here is a canary (`tests.simulation.canary`): found anywhere but on the phones,
it fails the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from tests.simulation.canary import Canaries

_NUMBERS: Iterator[int] = count(1)
Json = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """One message on a phone. `at` is clinical, with offset."""

    at: datetime
    direction: str
    body: str
    status: str


class ApiError(AssertionError):
    """An answer that the test did not expect, with the problem it holds."""


@dataclass
class Clinic:
    """The running system behind one origin, seen with the clinic's first key."""

    origin: str
    key: str
    canaries: Canaries
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.origin, headers={"Authorization": f"Bearer {self.key}"}, timeout=150)

    def call(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        answer = self.http.request(method, path, json=body)
        if (expect is not None and answer.status_code != expect) or (expect is None and answer.is_error):
            raise ApiError(f"{method} {path}: {answer.status_code} {answer.text[:600]}")
        return answer.json() if answer.content else None

    def now(self) -> datetime:
        return datetime.fromisoformat(self.call("GET", "/clock")["now"])

    def advance(self, to: datetime | None = None, by: str | None = None) -> datetime:
        body = {"to": to.astimezone(UTC).isoformat()} if to else {"by": by}
        return datetime.fromisoformat(self.call("POST", "/clock/advance", body)["now"])

    def settle(self) -> None:
        """Everything due until now is carried through."""
        self.advance(by="PT0S")

    def faults(self, *faults: Json) -> None:
        self.call("PUT", "/phone/faults", {"faults": list(faults)})

    def texts(self, number: str, direction: str | None = None) -> list[Text]:
        threads = {thread["number"]: thread["messages"] for thread in self.call("GET", "/phone/threads")}
        found = [Text(datetime.fromisoformat(m["at"]), m["direction"], m["body"], m["status"]) for m in threads.get(number, ())]
        return [text for text in found if direction in (None, text.direction)]

    def staff(self, role: str = "coordinator", zone: str = "America/New_York") -> Staff:
        """A new member of the care team with a phone of their own."""
        external = f"staff-{next(_NUMBERS)}"
        number = self.canaries.number()
        self.call(
            "PUT",
            f"/notifier/people/{external}",
            {"name": self.canaries.name(), "phone": number, "zone": zone, "roles": [role], "language": "en"},
        )
        return Staff(self, external, number)

    def patient(self, zone: str = "America/New_York", *, chain: Sequence[tuple[Staff, str]] = (), **contact: Any) -> Patient:
        """A new patient with consent on record, no plan yet."""
        external = f"patient-{next(_NUMBERS)}"
        number = contact.pop("phone", None) or self.canaries.number()
        consent = {"given_on": self.now().date().isoformat(), "how": "paper form", "to_whom": "front desk"}
        body: Json = {"name": self.canaries.name(), "phone": number, "language": "en", "privacy": "discreet", "consent": consent}
        self.call("PUT", f"/notifier/patients/{external}", body | contact)
        if chain:
            team = {"chain": [{"person": staff.external, "wait": wait} for staff, wait in chain]}
            self.call("PUT", f"/adherence/patients/{external}/care-team", team)
        return Patient(self, external, number, ZoneInfo(zone))


@dataclass
class Staff:
    clinic: Clinic
    external: str
    number: str

    def texts(self) -> list[Text]:
        return self.clinic.texts(self.number, "outbound")

    def reply(self, body: str) -> None:
        self.clinic.call("POST", "/phone/replies", {"from": self.number, "body": body})
        self.clinic.settle()


@dataclass
class Patient:
    clinic: Clinic
    external: str
    number: str
    zone: ZoneInfo

    def today(self) -> date:
        return self.clinic.now().astimezone(self.zone).date()

    def at(self, day: int, wall: str) -> datetime:
        """Wall time on the `day`-th day from today (0 = today), in the patient's zone."""
        hour, minute = map(int, wall.split(":"))
        return datetime.combine(self.today() + timedelta(days=day), time(hour, minute), self.zone)

    def plan(self, starts_in: int = 1, slots: Json | None = None, **parts: Any) -> Json:
        """A plan that starts `starts_in` days from today; one tablet at 08:00 unless told otherwise."""
        body: Json = {
            "zone": self.zone.key,
            "starts_on": (self.today() + timedelta(days=starts_in)).isoformat(),
            "slots": slots if slots is not None else {"morning": "08:00"},
            "medicines": [self.medicine()],
        }
        return body | parts

    def medicine(self, external: str = "m1", steps: Any = None, **parts: Any) -> Json:
        drug = self.clinic.canaries.drug()
        one = [{"from_day": 1, "doses": [{"slot": "morning", "quantity": "1", "unit": "tablet"}]}]
        code = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": self.clinic.canaries.code(), "display": drug}
        return {"id": external, "kind": "steady", "code": code, "steps": steps or one} | parts

    def start(self, plan: Json) -> Json:
        answer: Json = self.clinic.call("PUT", f"/scheduler/patients/{self.external}/plan", plan)
        self.clinic.settle()
        return answer

    def advance(self, day: int, wall: str) -> None:
        self.clinic.advance(self.at(day, wall))

    def texts(self) -> list[Text]:
        """What the clinic sent to this phone, welcome excepted, oldest first."""
        return [text for text in self.clinic.texts(self.number, "outbound") if "HELP" not in text.body]

    def reply(self, body: str) -> None:
        self.clinic.call("POST", "/phone/replies", {"from": self.number, "body": body})
        self.clinic.settle()

    def timeline(self) -> list[Json]:
        events: list[Json] = self.clinic.call("GET", f"/adherence/patients/{self.external}/timeline")
        return events

    def happened(self, *kinds: str) -> list[str]:
        """The kinds of the timeline that are asked for, in order."""
        return [event["kind"] for event in self.timeline() if event["kind"] in kinds]

    def messages(self) -> list[Json]:
        found: list[Json] = self.clinic.call("GET", f"/notifier/messages?patient={self.external}")
        return found
