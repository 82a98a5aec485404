"""From what the services answered to what is printed: each row of a patient gets its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from steadypath.enrol.desk import Answer
from steadypath.enrol.native_reader import NativePatient
from steadypath.enrol.outcome import Outcome, Row
from steadypath.enrol.sources import Lot

#: FHIR's words for the element that a service has refused, by its first part.
_FHIR = {
    "phone": "Patient.telecom",
    "name": "Patient.name",
    "country": "Patient.address.country",
    "consent": "Consent",
    "zone": "Patient.extension(timezone)",
    "care_team": "CareTeam.participant",
    "slots": "MedicationRequest.dosageInstruction",
    "medicines": "MedicationRequest",
    "appointments": "Appointment",
    "id": "Patient.id",
}
#: Elements of the plan's own body that the native format has on the patient.
_OF_PATIENT = ("zone", "routine", "id")


@dataclass
class Progress:
    """How far one patient has come: the last answer of each service. `refused`: the first that said no."""

    lot: Lot
    contact: Answer = field(default_factory=dict)
    team: Answer = field(default_factory=dict)
    plan: Answer = field(default_factory=dict)
    refused: tuple[str, str, str | None] | None = None

    def hear(self, part: str, answer: Answer) -> None:
        """Takes one service's answer in; a refusal refuses the patient."""
        if answer["outcome"] != "refused":
            setattr(self, part, answer)
        else:
            element = _element(part, answer["element"] or "*", self.lot.whole)
            self.refuse(element, str(answer["reason"]), answer["accepted"])

    def refuse(self, element: str, reason: str, accepted: str | None) -> None:
        """Refuses the patient, unless that has been done; says on which line the element stands where the file has lines."""
        if self.refused is None:
            one = self.lot.intake
            place = one.where(element) if isinstance(one, NativePatient) and element != "*" else element
            self.refused = (place, reason, accepted)

    def rows(self) -> tuple[Row, ...]:
        """All rows of the patient, as they are to be printed."""
        if self.refused is not None:
            return tuple(one if one.outcome == "refused" else refused_for(one, self.refused) for one in self.lot.intake.rows)
        missing = [*self.contact.get("missing", ()), *self.plan.get("missing", ())]
        return tuple(self._row(one, missing) for one in self.lot.intake.rows)

    def _row(self, row: Row, missing: list[str]) -> Row:
        if row.outcome == "refused":
            return row
        kind, _, external = (row.item or "").partition("/")
        is_medicine = kind in ("medicine", "MedicationRequest")
        paused = is_medicine and (row.paused or self.plan.get("status") == "paused")
        if row.outcome == "draft" and missing:
            return replace(row, paused=paused)
        outcome: Outcome = "enrolled" if self._is_new(kind, external) else "unchanged"
        return replace(row, outcome=outcome, paused=paused, element=None, reason=None, accepted=None)

    def _is_new(self, kind: str, external: str) -> bool:
        answers = {"contact": self.contact, "team": self.team, "plan": self.plan}
        fresh = {part: bool(answer.get("outcome", "unchanged") != "unchanged") for part, answer in answers.items()}
        if kind in ("medicine", "MedicationRequest"):
            named: list[str] = self.plan.get("medicines", [])
            return fresh["plan"] and (external in named or f"{external}.prn"[:64] in named)
        if kind == "CareTeam":
            return fresh["team"]
        if kind == "Appointment":
            return fresh["plan"]
        return fresh["contact"] if kind in ("Patient", "Consent") else any(fresh.values())


def refused_for(row: Row, why: tuple[str, str, str | None]) -> Row:
    """The row as refused: element, reason, what would be taken."""
    element, reason, accepted = why
    return replace(row, outcome="refused", paused=False, element=element, reason=reason, accepted=accepted, slots=())


def _element(part: str, element: str, native: bool) -> str:
    if not native:
        first = element.partition("[")[0].partition(".")[0]
        return _FHIR.get("care_team" if part == "team" else first, "Patient")
    if part == "plan" and element.partition(".")[0] not in _OF_PATIENT:
        return f"plan.{element}"
    return f"care_team{element.removeprefix('chain')}" if part == "team" else element
