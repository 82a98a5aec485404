"""For --check: what the three services would say to these items, by their own rules, in this process, with nothing stored.

No system is needed and nothing is written. What only a running system knows (a phone that is on record, a plan that exists, the
clinic's own settings) counts as not there; the clinic is the one that `up` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.adherence.http.team import CareTeamBody
from services.notifier import enrolment
from services.notifier.http.bodies import PatientBody, PersonBody
from services.notifier.storage.clinics import Clinic as Contacts
from services.scheduler import commands
from services.scheduler.bodies import PlanBody
from services.scheduler.pieces import Piece
from services.scheduler.storage.clinics import Clinic as Plans
from shared.crypto import FieldCipher
from shared.errors import DomainError
from shared.events.base import stable_id
from shared.http import bulk
from steadypath.enrol.desk import Answer
from steadypath.enrol.intake import Body, Setting

_CLINIC = stable_id("clinic", "check")


class LocalDesk:
    """Answers as the services' dry run does."""

    def __init__(self, setting: Setting) -> None:
        zone = setting.zone or "UTC"
        self._contacts = Contacts(_CLINIC, "check", zone, setting.country, "", "en", None, None, {})
        self._plans = Plans(_CLINIC, setting.zone)
        self._cipher = FieldCipher(bytes(32))  # nothing is sealed: no plan is stored here

    def people(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return [_said(one["person"], self._person, one) for one in items]

    def contacts(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return [_said(one["patient"], self._contact, one) for one in items]

    def care_teams(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return [_said(one["patient"], self._care_team, one) for one in items]

    def plans(self, items: Sequence[Body], *, dry_run: bool) -> list[Answer]:
        return [_said(one["patient"], self._plan, one) for one in items]

    def knows_person(self, person: str) -> bool:
        """Nobody can tell without the system: it says so when the files go in."""
        return True

    def _person(self, item: Body) -> dict[str, Any]:
        enrolment.wanted_of_person(self._contacts, bulk.read(PersonBody, item["contact"]))
        return {}

    def _contact(self, item: Body) -> dict[str, Any]:
        if item.get("contact") is None:
            return {"missing": ["phone", "consent"]}
        body = bulk.read(PatientBody, item["contact"])
        wanted = enrolment.wanted_of_patient(self._contacts, body)
        return {"missing": [name for name, there in (("phone", wanted.get("number")), ("consent", body.consent)) if not there]}

    def _care_team(self, item: Body) -> dict[str, Any]:
        bulk.read(CareTeamBody, item["care_team"])
        return {}

    def _plan(self, item: Body) -> dict[str, Any]:
        external = item["patient"]
        piece = Piece(item["whole"], item["starts_assumed"], item["paused"])
        body = bulk.read(PlanBody, item["plan"])
        statement = commands.read(self._plans, None, self._cipher, stable_id(_CLINIC, "patient", external), external, body, piece)
        return {
            "status": statement.plan.status,
            "medicines": [str(called["id"]) for called in statement.names.medicines.values()],
            "missing": [] if statement.plan.zone else ["zone"],
        }


def _said(external: str, rule: Callable[[Body], dict[str, Any]], item: Body) -> Answer:
    try:
        return {"id": external, "outcome": "valid", **rule(item)}
    except DomainError as refusal:
        return {"id": external, **bulk.refused(refusal)}
