"""From FHIR files to the intake: every patient with their requests, consent, appointments and care team, one at a time.

Each resource gives one row. A patient who is not in the files, or of whom something is missing, makes drafts; a patient who
is refused takes everything about them along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from steadypath.enrol.fhir import around, medicine, patient, shapes
from steadypath.enrol.fhir.medicine import Medicine, Request
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.fhir.patient import Need
from steadypath.enrol.fhir.plan import plan_of
from steadypath.enrol.fhir.store import Entry, Store, store_of
from steadypath.enrol.files import Document
from steadypath.enrol.intake import Body, Intake, PatientIntake, PersonIntake, Setting
from steadypath.enrol.outcome import Refusal, Row, refused

_SUBJECT = {
    "MedicationRequest": "MedicationRequest.subject", "CareTeam": "CareTeam.subject", "Consent": "Consent.patient",
    "Appointment": "Appointment.participant.actor",
}  # fmt: skip


def looks_fhir(document: Document) -> bool:
    """Whether a document is for this reader: NDJSON always is, JSON where it speaks of a resource type."""
    return document.kind == "ndjson" or (document.kind == "json" and '"resourceType"' in document.text)


def read(files: Iterable[tuple[str, Document]], setting: Setting) -> Intake:
    """Reads FHIR files. `Intake.patients` is made as it is asked for."""
    store = store_of(files)
    reader = _Reader(store, setting)
    people = tuple(reader.people())
    return Intake(people, reader.patients(), (*store.rows, *reader.rows))


@dataclass
class _Gathered:
    """What is about one patient. `named`: their external id."""

    named: str | None
    entry: Entry | None = None
    rest: list[Entry] = field(default_factory=list)


class _Reader:
    def __init__(self, store: Store, setting: Setting) -> None:
        self.store, self.setting = store, setting
        self.rows: list[Row] = []
        self._groups, self._people = self._gather()
        self._taken: set[str] = set()

    def _gather(self) -> tuple[list[_Gathered], list[Entry]]:
        groups: dict[str, _Gathered] = {}
        orphans, people = list[_Gathered](), list[Entry]()
        for entry in self.store.entries:
            if entry.kind == "Practitioner":
                people.append(entry)
            elif entry.kind == "Medication":
                self.rows.append(self._medication(entry))
            elif entry.kind == "Patient":
                groups.setdefault(entry.external, _Gathered(entry.external)).entry = entry
            else:
                _, named = self.store.patient_of(entry)
                if named is None:
                    orphans.append(_Gathered(None, rest=[entry]))
                else:
                    groups.setdefault(named, _Gathered(named)).rest.append(entry)
        return [*groups.values(), *orphans], people

    def _medication(self, entry: Entry) -> Row:
        try:
            shapes.check(self.store.resource(entry))
        except Refusal as refusal:
            return refused(self.store.path(entry), entry.item, refusal)
        return Row(self.store.path(entry), entry.item, "enrolled")

    def people(self) -> Iterator[PersonIntake]:
        """Everybody whom care teams can name; refused ones become rows."""
        roles = self._roles() if self._people else {}
        for entry in self._people:
            path = self.store.path(entry)
            try:
                resource = self._checked(entry)
                body = around.practitioner(resource, entry.external, roles, self.setting)
            except Refusal as refusal:
                self.rows.append(refused(path, entry.item, refusal))
                continue
            self._taken.add(entry.external)
            row = Row(path, entry.item, "enrolled")
            if body["phone"] is None:
                need = "There is no mobile phone number, so nobody can be paged by text."
                row = replace(
                    row, outcome="draft", element="Practitioner.telecom", reason=need, accepted=patient.NO_PHONE.accepted
                )
            yield PersonIntake(entry.external, body, row)

    def _roles(self) -> dict[str, set[str]]:
        """Prescribers are those whom requests name as requester; the rest is what care teams clearly say."""
        roles: dict[str, set[str]] = {}
        for entry in self.store.entries:
            named: list[tuple[object, set[str]]] = []
            if entry.kind == "MedicationRequest":
                named = [(self.store.resource(entry).get("requester"), {"prescriber"})]
            elif entry.kind == "CareTeam":
                members = self.store.resource(entry).get("participant")
                inside = members if isinstance(members, list) else []
                named = [(one.get("member"), self._said(one)) for one in inside if isinstance(one, dict)]
            for who, said in named:
                reference = who.get("reference") if isinstance(who, dict) else None
                found = self.store.find(entry, reference) if isinstance(reference, str) else None
                if found is not None and found.kind == "Practitioner":
                    roles.setdefault(found.external, set()).update(said)
        return roles

    def _said(self, participant: Json) -> set[str]:
        try:
            return around.roles_in(participant, "CareTeam.participant")
        except Refusal:
            return set()  # the care team's own row says what is wrong with it

    def _checked(self, entry: Entry) -> Json:
        resource = self.store.resource(entry)
        shapes.check(resource)
        return resource

    def patients(self) -> Iterator[PatientIntake]:
        for group in self._groups:
            yield _PatientReader(self.store, self.setting, group, self._taken).read()


class _PatientReader:
    """Reads everything about one patient."""

    def __init__(self, store: Store, setting: Setting, group: _Gathered, people: set[str]) -> None:
        self.store, self.setting, self.group, self.people = store, setting, group, people
        self.rows: list[Row] = []
        self.needs: list[Need] = []
        self.contact: Body | None = None
        self.zone = setting.assumed_zone  # a Patient in the files says more
        self.requests: list[tuple[Entry, Request]] = []

    def read(self) -> PatientIntake:
        entry = self.group.entry
        try:
            if entry is not None:
                found = patient.read(self._checked(entry), entry.external, self.setting)
                self.contact, self.zone, self.needs = found.contact, found.zone, list(found.needs)
        except Refusal as refusal:
            return self._all_refused(refusal)
        team = [body for one in self._of("CareTeam") for body in self._care_team(one)]
        self._consents()
        appointments = [body for one in self._of("Appointment") for body in self._appointment(one)]
        self._requests()
        return self._intake(tuple(team), appointments)

    def _of(self, kind: str) -> list[Entry]:
        return [one for one in self.group.rest if one.kind == kind]

    def _checked(self, entry: Entry) -> Json:
        resource = self.store.resource(entry)
        shapes.check(resource)
        return resource

    def _all_refused(self, refusal: Refusal) -> PatientIntake:
        assert self.group.entry is not None, "only a patient in the files can be refused"
        rows = [refused(self.store.path(self.group.entry), self.group.entry.item, refusal)]
        for one in self.group.rest:
            follows = Refusal(_SUBJECT[one.kind], "Its patient is refused.", "a patient who can be enrolled")
            rows.append(refused(self.store.path(one), one.item, follows))
        return PatientIntake(self.group.named, rows=tuple(rows))

    def _row(self, entry: Entry, needs: Iterable[Need] = ()) -> None:
        missing = list(needs)
        if entry.kind != "Patient" and self.group.entry is None:
            missing = [Need(_SUBJECT[entry.kind], "Its patient is not in the files.", "a reference to a Patient in the files")]
        row = Row(self.store.path(entry), entry.item, "draft" if missing else "enrolled")
        if missing:
            row = replace(
                row,
                element=", ".join(one.element for one in missing),
                reason=" ".join(one.reason for one in missing),
                accepted="; ".join(one.accepted for one in missing),
            )
        self.rows.append(row)

    def _refuse(self, entry: Entry, refusal: Refusal) -> None:
        self.rows.append(refused(self.store.path(entry), entry.item, refusal))

    def _care_team(self, entry: Entry) -> tuple[Body, ...]:
        def look(reference: str) -> tuple[str, str] | None:
            found = self.store.find(entry, reference)
            return found.key if found and (found.kind != "Practitioner" or found.external in self.people) else None

        try:
            chain = around.care_team(self._checked(entry), look)
        except Refusal as refusal:
            self._refuse(entry, refusal)
            return ()
        self._row(entry)
        return chain

    def _consents(self) -> None:
        """Sets the contact's consent. A denial on record stands against whatever else permits."""
        given, denied = self.setting.consent, False
        body: Body | None = None
        if given is not None:
            body = {"given_on": given.given_on.isoformat(), "how": given.how, "to_whom": given.to_whom}
        for entry in self._of("Consent"):
            try:
                resource = self._checked(entry)
                denied = denied or around.denies(resource)
                body = around.consent(resource, entry.item, self.setting)
            except Refusal as refusal:
                self._refuse(entry, refusal)
            else:
                self._row(entry)
        if self.contact is None:
            return
        if denied or body is not None:  # files that say nothing of consent leave what is on record
            self.contact["consent"] = None if denied else body
        if self.contact.get("consent") is None:
            self.needs.append(patient.NO_CONSENT)

    def _appointment(self, entry: Entry) -> list[Body]:
        try:
            body = around.appointment(self._checked(entry), entry.external, self.setting, self.zone)
        except Refusal as refusal:
            self._refuse(entry, refusal)
            return []
        self._row(entry, self.needs)
        return [body]

    def _requests(self) -> None:
        routine = self.setting.routines.get(self.group.named or "", {})
        for entry in self._of("MedicationRequest"):
            try:
                resource = self._checked(entry)
                request = medicine.read(resource, entry.external, self._resolver(entry, resource), self.setting, routine)
                self.requests.append((entry, request))
            except Refusal as refusal:
                self._refuse(entry, refusal)
        running = any(not request.paused for _, request in self.requests)
        for entry, request in list(self.requests):
            if request.paused and running:
                self.requests.remove((entry, request))
                reason = "It is on hold beside others in force; a plan is paused as a whole."
                self._refuse(entry, Refusal("MedicationRequest.status", reason, "active; or all requests of the patient on-hold"))
                continue
            self._row(entry, self.needs)
            self.rows[-1] = replace(self.rows[-1], paused=request.paused, slots=request.slots)

    def _resolver(self, entry: Entry, resource: Json) -> medicine.Resolve:
        return lambda reference: self.store.resolve(entry, resource, reference)

    def _intake(self, team: tuple[Body, ...], appointments: list[Body]) -> PatientIntake:
        if self.group.entry is not None:
            self._row(self.group.entry, self.needs)
            self.rows.insert(0, self.rows.pop())
        medicines: list[Medicine] = [one for _, request in self.requests for one in request.medicines]
        routine = dict(self.setting.routines.get(self.group.named or "", {}))
        plan, assumed = plan_of(medicines, appointments, self.zone, routine, self._today())
        return PatientIntake(
            id=self.group.named,
            contact=self.contact,
            plan=plan,
            care_team=team,
            paused=any(request.paused for _, request in self.requests),
            starts_assumed=assumed,
            rows=tuple(self.rows),
        )

    def _today(self) -> date:
        return self.setting.today
