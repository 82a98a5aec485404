"""One MedicationRequest as one medicine of the patient's plan: its code, its ladder, its slots; or why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from shared.defaults import default
from steadypath.enrol.fhir import contradict, dosage, ladder, node
from steadypath.enrol.fhir.bounds import EARLIEST
from steadypath.enrol.fhir.dosage import Dosage
from steadypath.enrol.fhir.ladder import Kind, Ladder, Rung
from steadypath.enrol.fhir.laying import At
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.fhir.words import DAYS
from steadypath.enrol.intake import Body, Setting
from steadypath.enrol.outcome import Refusal, SlotReading

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_TYPE = "MedicationRequest"
_INTENTS = ("order", "original-order", "reflex-order", "filler-order", "instance-order")
#: A reference, looked up from the resource that holds it.
Resolve = Callable[[str], Json | None]


@dataclass(frozen=True)
class Medicine:
    """One medicine before the plan's slots are known. `start` None: from when the plan starts."""

    id: str
    code: Body
    as_needed: bool
    kind: Kind
    rungs: tuple[Rung, ...]
    start: date | None
    end: date | None

    def times(self) -> set[At]:
        return {at for rung in self.rungs for part in rung.parts for at in part.at}

    def since(self, earliest: date) -> Medicine:
        """The same medicine, told from `earliest` on where it began long before; its rhythm is kept."""
        if self.start is None or self.start >= earliest:
            return self
        rungs = ladder.later(self.rungs, earliest)
        return Medicine(self.id, self.code, self.as_needed, self.kind, rungs, rungs[0].on if rungs else earliest, self.end)

    def body(self) -> Body:
        """As PUT plan takes it; doses name slots by their time ("t0800")."""
        found: Body = {"id": self.id, "code": self.code, "kind": self.kind, "as_needed": self.as_needed, "steps": self._steps()}
        if self.start is not None:
            found["starts_on"] = self.start.isoformat()
        if self.end is not None:
            found["ends_on"] = self.end.isoformat()
        return found

    def _steps(self) -> list[Body]:
        return [
            {
                "from_day": 1 if rung.on is None or self.start is None else (rung.on - self.start).days + 1,
                "doses": [_dose(at, part) for part in rung.parts for at in part.at],
            }
            for rung in self.rungs
        ]


@dataclass(frozen=True)
class Request:
    """A request that was read: one medicine, or two where it is partly as needed."""

    medicines: tuple[Medicine, ...]
    slots: tuple[SlotReading, ...]
    paused: bool


def slot_of(at: str) -> str:
    """The id of the plan's slot at "HH:MM"."""
    return f"t{at.replace(':', '')}"


def _dose(at: At, part: ladder.Part) -> Body:
    dose, stated = part.dosage.dose, part.stated
    return {
        "slot": slot_of(at.time),
        "quantity": dosage.plain(dose.value) if dose else "1",
        "unit": dose.word if dose else "dose",
        "every_days": stated.every_days,
        "weekdays": list(stated.weekdays),
    }


def read(request: Json, external: str, resolve: Resolve, setting: Setting, routine: Mapping[str, str]) -> Request:
    """Reads a MedicationRequest that has the shape of one. Raises Refusal."""
    paused = _standing(request)
    code = _medicine_code(request, resolve)
    authored = _authored(request)
    dosages = [dosage.read(one, where) for one, where in node.children(request, "dosageInstruction", _TYPE)]
    if not dosages:
        raise Refusal(f"{_TYPE}.dosageInstruction", "It does not say how it is taken.", "a dosageInstruction with a coded timing")
    contradict.refuse(dosages, authored)
    regular, needed = [one for one in dosages if not one.as_needed], [one for one in dosages if one.as_needed]
    built = ladder.build(regular, authored, setting.today, routine) if regular else None
    medicines = [Medicine(external, code, False, built.kind, built.rungs, built.start, built.end)] if built else []
    if needed:
        medicines.append(_as_needed(needed, f"{external}.prn"[:64] if built else external, code, authored, setting.today))
    _refuse_ward(request)
    return Request(tuple(medicines), tuple(_reading(one, built, authored) for one in dosages), paused)


def _standing(request: Json) -> bool:
    """Whether it is on hold. Raises Refusal where it is nothing to act on."""
    node.refuse_modifiers(request, _TYPE)
    status, intent = node.text_of(request, "status", _TYPE), node.text_of(request, "intent", _TYPE)
    if status not in ("active", "on-hold"):
        raise Refusal(f"{_TYPE}.status", "Only a request that is in force is planned.", "active, on-hold")
    if intent not in _INTENTS:
        raise Refusal(f"{_TYPE}.intent", "Only an order is planned.", ", ".join(_INTENTS))
    if node.flag(request, "doNotPerform", _TYPE):
        raise Refusal(f"{_TYPE}.doNotPerform", "It asks not to take the medicine.", "a request to take it")
    return status == "on-hold"


def _refuse_ward(request: Json) -> None:
    """An inpatient's doses are given by staff."""
    for concept, where in node.children(request, "category", _TYPE):
        if any(code == "inpatient" for _, code, _ in node.codings(concept, where)):
            raise Refusal(where, "An inpatient's doses are given by staff.", "outpatient, community, discharge")


def _authored(request: Json) -> date | None:
    text = node.text_of(request, "authoredOn", _TYPE) or ""
    if len(text) < len("2026-11-23"):
        return None  # a year or a month is no first day
    found = node.whole_date(request, "authoredOn", _TYPE)
    return max(found[0], EARLIEST) if found else None


def _as_needed(needed: list[Dosage], external: str, code: Body, authored: date | None, today: date) -> Medicine:
    """Logged, never asked for: no slots. It ends when the last of its instructions does."""
    spans = [ladder.span(one, authored) if one.stated else (authored, None) for one in needed]
    starts, ends = [start for start, _ in spans if start], [end for _, end in spans]
    for one in needed:
        if one.stated is not None and one.stated.bounds.count is not None:
            raise Refusal(f"{one.path}.timing.repeat.count", "Nobody counts doses that are not asked for.", "bounds")
    end = None if None in ends else max(one for one in ends if one)
    for one in needed:
        if one.stated is not None:
            ladder.refuse_past(one.stated, end, today)
    return Medicine(external, code, True, "steady", (), min(starts) if starts else None, end)


def _reading(one: Dosage, built: Ladder | None, authored: date | None) -> SlotReading:
    dose = one.dose.words if one.dose else None
    if one.as_needed:
        end = ladder.span(one, authored)[1] if one.stated else None
        return SlotReading(until=end.isoformat() if end else None, as_needed=True, dose=dose)
    assert built is not None, "a regular dosage is part of a ladder"
    part = next(part for part in built.parts if part.dosage is one)
    days = tuple(DAYS[day - 1] for day in part.stated.weekdays) or None
    return SlotReading(
        times=tuple(at.time for at in part.at),
        times_from="routine" if any(at.times_from == "routine" for at in part.at) else "plan",
        every=part.stated.every,
        days=days,
        until=part.end.isoformat() if part.end else None,
        dose=dose,
    )


def _medicine_code(request: Json, resolve: Resolve) -> Body:
    """The medicine's code, RxNorm's where there is one: what rule sets are found by."""
    concept, where = node.child(request, "medicationCodeableConcept", _TYPE), f"{_TYPE}.medicationCodeableConcept"
    display = None
    if concept is None:
        where = f"{_TYPE}.medicationReference"
        reference = node.child(request, "medicationReference", _TYPE) or {}
        display = node.text_of(reference, "display", where)
        medication = resolve(node.text_of(reference, "reference", where) or "")
        if medication is not None:
            node.refuse_modifiers(medication, "Medication")
            if medication.get("resourceType") != "Medication" or medication.get("status") in ("inactive", "entered-in-error"):
                raise Refusal(where, "It refers to no medicine in use.", "a Medication that is active")
            concept = node.child(medication, "code", where)
    return _code_of(concept, where, display)


def _code_of(concept: Json | None, where: str, display: str | None) -> Body:
    found = [one for one in node.codings(concept, where) if one[1] or one[2]]
    system, code, name = next((one for one in found if one[0] == RXNORM), found[0] if found else (None, None, None))
    name = name or (node.text_of(concept, "text", where) if concept else None) or display
    if not code and not name:
        raise Refusal(where, "It does not say which medicine.", "an RxNorm coding, or a text")
    body: dict[str, Any] = {"system": system, "code": code, "display": name}
    return {key: value[:200] for key, value in body.items() if value and value.strip()}


def earliest_of(latest: date) -> date:
    """How far back a plan reaches whose latest medicine begins on `latest`."""
    back: timedelta = default("enrol", "oldest_start")
    return latest - back
