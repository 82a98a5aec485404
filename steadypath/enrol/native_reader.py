"""Reads files of the native format: a row for each person, patient and medicine, and the bodies that the services take.

A patient is one whole: where anything of theirs is refused, all of it is, because half a plan would stop the other half's
medicines on record. Refusals name file, line, item and element, and what would be taken; never a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.notifier.domain import templates
from services.scheduler.bodies import ExternalId
from shared.accepted import accepted_of, element_of
from steadypath.enrol import native, strict_json, strict_yaml
from steadypath.enrol.files import Document
from steadypath.enrol.intake import Intake, PatientIntake, PersonIntake, Setting
from steadypath.enrol.lines import Lines
from steadypath.enrol.native_slots import Routine, readings
from steadypath.enrol.outcome import Refusal, Row, refused

_FIELDS = ("steadypath", "people", "patients")
#: Templates with a slash in their name that are no question of their own: what is said to an answer or about an alert.
_NO_QUESTIONS = ("dose", "ack", "clarify", "alert")
_ID = TypeAdapter(ExternalId)
NEEDS = {
    "phone": ("There is no phone number.", "a mobile number in E.164"),
    "consent": ("No consent to texts is on record.", "consent with given_on, how and to_whom, or --consent HOW"),
    "zone": ("Nothing says in which time zone the patient lives.", "an IANA zone such as America/New_York"),
}


@dataclass(frozen=True)
class NativeSource:
    """One file. Its patients are read one by one, as often as they are asked for: JSON from its text, YAML, which cannot be read
    in parts, from the whole."""

    path: str
    document: Document = field(repr=False)

    @cached_property
    def _top(self) -> dict[str, Any]:
        """The outermost mapping; of JSON, `patients` are the places where they begin."""
        text = self.document.text
        if self.document.kind == "yaml":
            return _checked(strict_yaml.yaml_whole(text))
        if text.lstrip()[:1] != "{":
            return _checked(None)
        top, begins = dict[str, Any](), list[int]()
        for member in strict_json.stream(text, "patients"):
            if member.index is None:
                top[member.key] = member.value
            else:
                begins.append(member.begin)
        return _checked({"patients": begins, **top})

    @cached_property
    def _lines(self) -> Lines:
        return Lines(self.document.text)

    @property
    def people(self) -> list[Any]:
        found: list[Any] = self._top.get("people", [])
        return found

    def patients(self) -> Iterator[Any]:
        """Each as it stands in the file. Raises Refusal where the file as a whole cannot be taken."""
        for one in self._top.get("patients", []):
            yield one if self.document.kind == "yaml" else strict_json.json_value(self.document.text, one)[0]

    def __len__(self) -> int:
        """How many patients it holds."""
        return len(self._top.get("patients", []))

    def place(self, group: str, index: int, element: str) -> str:
        """The element with the line on which it stands."""
        line = self._lines.of(group, index, element)
        return f"line {line}: {element}" if line else f"{group}[{index}].{element}"


def _checked(whole: Any) -> dict[str, Any]:
    if not isinstance(whole, dict) or "steadypath" not in whole:
        raise Refusal(None, "This is neither FHIR nor the native format.", f"a mapping with steadypath: {native.VERSION}")
    if whole["steadypath"] != native.VERSION or isinstance(whole["steadypath"], bool):
        raise Refusal("steadypath", "This version of the format is not known here.", str(native.VERSION))
    if any(name not in _FIELDS for name in whole):
        raise Refusal("*", "The file has a field that the format has not.", ", ".join(_FIELDS))
    for name in ("people", "patients"):
        if not isinstance(whole.get(name, []), list):
            raise Refusal(name, "This is no list.", "a list")
    return whole


@dataclass(frozen=True)
class NativePatient(PatientIntake):
    """A patient who knows where they stand, for whoever has to refuse them later."""

    source: NativeSource | None = None
    index: int = 0

    def where(self, element: str) -> str:
        """An element of this patient with its line."""
        return self.source.place("patients", self.index, element) if self.source else element


def read(sources: Iterable[NativeSource], setting: Setting, routine: Routine) -> Intake:
    """Reads files that were opened. `routine`: the clinic's times of day. `Intake.patients` is made as it is asked for."""
    known = list(sources)
    people_twice = _twice(one for source in known for one in source.people)
    reader = _Reader(setting, routine, people_twice, _twice(one for source in known for one in source.patients()))
    rows: list[Row] = []
    people: list[PersonIntake] = []
    for source in known:
        for index, raw in enumerate(source.people):
            found = reader.person(source, index, raw)
            if isinstance(found, Row):
                rows.append(found)
            else:
                people.append(found)
    patients = (reader.patient(source, index, raw) for source in known for index, raw in enumerate(source.patients()))
    return Intake(tuple(people), patients, tuple(rows))


def _twice(items: Iterable[Any]) -> frozenset[str]:
    counted = Counter(external for one in items if (external := _id_of(one)))
    return frozenset(external for external, count in counted.items() if count > 1)


def _id_of(raw: Any) -> str | None:
    """The id, where it is one: then a row may name it."""
    try:
        return _ID.validate_python(raw["id"], strict=True) if isinstance(raw, dict) else None
    except (KeyError, ValidationError):
        return None


@dataclass(frozen=True)
class _Reader:
    setting: Setting
    routine: Routine
    people_twice: frozenset[str]
    patients_twice: frozenset[str]

    def person(self, source: NativeSource, index: int, raw: Any) -> PersonIntake | Row:
        item = f"person/{_id_of(raw)}" if _id_of(raw) else f"people[{index}]"
        try:
            _once(raw, self.people_twice)
            one = native.Person.model_validate(raw)
        except (ValidationError, Refusal) as error:
            return refused(source.path, item, _located(source, "people", index, error))
        body = one.model_dump(mode="json", exclude_unset=True, exclude={"id"})
        row = Row(source.path, item, "enrolled")
        if one.phone is None:
            reason = "There is no phone number, so nobody can be paged by text."
            row = Row(source.path, item, "draft", element="phone", reason=reason, accepted=NEEDS["phone"][1])
        return PersonIntake(one.id, body, row)

    def patient(self, source: NativeSource, index: int, raw: Any) -> PatientIntake:
        try:
            _once(raw, self.patients_twice)
            one = native.Patient.model_validate(raw)
            return self._taken(source, index, one)
        except (ValidationError, Refusal) as error:
            return _refused(source, index, raw, _located(source, "patients", index, error))

    def _taken(self, source: NativeSource, index: int, one: native.Patient) -> PatientIntake:
        if one.routine and one.plan is None:
            raise Refusal("routine", "A routine is part of a plan, and there is none.", "a plan beside it, for example plan: {}")
        _check_questions(one)
        contact, plan = native.contact_of(one), native.plan_of(one, self.setting.today.isoformat())
        given = self.setting.consent
        if given is not None and one.consent is None:
            contact["consent"] = {"given_on": given.given_on.isoformat(), "how": given.how, "to_whom": given.to_whom}
        needs = [name for name in NEEDS if _is_missing(name, contact, plan)]
        rows = [_row(source.path, f"patient/{one.id}", needs)]
        slots = readings(one, self.routine, self.setting.today) if plan is not None else {}
        rows += [_row(source.path, f"medicine/{medicine}", needs, read) for medicine, read in slots.items()]
        return NativePatient(
            id=one.id,
            contact=contact,
            plan=plan,
            care_team=native.care_team_of(one),
            labels=native.labels_of(one),
            starts_assumed=one.plan is not None and one.plan.starts_on is None,
            rows=tuple(rows),
            source=source,
            index=index,
        )


def _check_questions(patient: native.Patient) -> None:
    """A question without wording would be withheld, every time (notifier/templates.toml)."""
    for number, one in enumerate(patient.plan.check_ins if patient.plan else ()):
        if f"{one.instrument}/{one.item}" not in _questions():
            accepted = "instrument and item of " + ", ".join(_questions())
            raise Refusal(f"plan.check_ins[{number}].item", "There is no wording for this question.", accepted)


@cache
def _questions() -> tuple[str, ...]:
    """instrument/item of every question that can be asked at a time of its own."""
    names = (name.partition("/") for name in templates.load().texts)
    return tuple(sorted(f"{kind}/{item}" for kind, _, item in names if item and kind not in _NO_QUESTIONS))


def _once(raw: Any, twice: frozenset[str]) -> None:
    if _id_of(raw) in twice:
        raise Refusal("id", "This id stands twice; nobody knows which is meant.", "an id of its own for each")


def _is_missing(name: str, contact: dict[str, Any], plan: dict[str, Any] | None) -> bool:
    if name == "zone":
        return plan is not None and plan.get("zone") is None
    return contact.get(name) is None


def _row(path: str, item: str, needs: list[str], slots: tuple[Any, ...] = ()) -> Row:
    if not needs:
        return Row(path, item, "enrolled", slots=slots)
    reasons, accepted = zip(*(NEEDS[name] for name in needs), strict=True)
    return Row(path, item, "draft", False, ", ".join(needs), " ".join(reasons), "; ".join(accepted), slots)


def _located(source: NativeSource, group: str, index: int, error: ValidationError | Refusal) -> Refusal:
    if isinstance(error, Refusal):
        element, reason, accepted = error.element or "*", str(error), error.accepted
    else:
        first = error.errors(include_url=False, include_input=False, include_context=True)[0]
        element, accepted = element_of(first["loc"]) if first["loc"] else group, accepted_of(first)
        reason = _REASONS.get(first["type"], "This is not accepted here.")
    return Refusal(source.place(group, index, element), reason, accepted)


_REASONS = {
    "missing": "This is missing.",
    "extra_forbidden": "The format has no such field.",
}


def _refused(source: NativeSource, index: int, raw: Any, refusal: Refusal) -> PatientIntake:
    """All rows of a patient who does not go in, each with the element that was in the way."""
    external = _id_of(raw)
    items = [f"patient/{external}" if external else f"patients[{index}]", *(f"medicine/{one}" for one in _medicines(raw))]
    return PatientIntake(external, rows=tuple(refused(source.path, item, refusal) for item in items))


def _medicines(raw: Any) -> list[str]:
    plan = raw.get("plan") if isinstance(raw, dict) else None
    listed = plan.get("medicines") if isinstance(plan, dict) else None
    return [external for one in listed if (external := _id_of(one))] if isinstance(listed, list) else []
