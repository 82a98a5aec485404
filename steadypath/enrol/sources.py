"""From paths to what can be sent: each file read safely, given to the reader of its format, and read again as often as needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from steadypath.enrol import files, native_reader
from steadypath.enrol.fhir import bundle
from steadypath.enrol.files import Document
from steadypath.enrol.intake import Intake, PatientIntake, PersonIntake, Setting
from steadypath.enrol.native_reader import NativeSource
from steadypath.enrol.native_slots import Routine
from steadypath.enrol.outcome import Refusal, Row, refused


@dataclass(frozen=True)
class Lot:
    """One patient on the way in. `whole`: the file states the whole plan (native), else parts of it (FHIR)."""

    intake: PatientIntake
    whole: bool


@dataclass(frozen=True)
class Sources:
    """Files that could be opened. `rows`: those that could not."""

    native: tuple[NativeSource, ...]
    fhir: tuple[tuple[str, Document], ...]
    rows: tuple[Row, ...]

    @property
    def name_moments(self) -> bool:
        """Whether a FHIR file says when something is taken by moments of the patient's day (`when`)."""
        return any('"when"' in document.text for _, document in self.fhir)

    @property
    def total(self) -> int | None:
        """How many patients there are, where that is known before all is read."""
        return None if self.fhir else sum(len(one) for one in self.native)


def open_all(paths: Sequence[str]) -> Sources:
    """Reads every file's outside. A file that cannot be taken as a whole is one row, and nothing of it goes in."""
    native, fhir, rows = list[NativeSource](), list[tuple[str, Document]](), list[Row]()
    for path in dict.fromkeys(paths):
        try:
            document = files.read(path)
            if bundle.looks_fhir(document):
                fhir.append((path, document))
            else:
                source = NativeSource(path, document)
                len(source)  # reads the outermost level: refused before anything is sent
                native.append(source)
        except Refusal as refusal:
            rows.append(refused(path, None, refusal))
    return Sources(tuple(native), tuple(fhir), tuple(rows))


@dataclass(frozen=True)
class Reading:
    """One reading of all files. `streams`: the patients, in the order in which they are to be dealt with; each can be asked for
    once, and no patient is twice in one."""

    people: tuple[PersonIntake, ...]
    streams: tuple[Iterator[Lot], ...]
    rows: tuple[Row, ...]


def read(sources: Sources, setting: Setting, routine: Routine) -> Reading:
    """Reads everything anew; patients come one at a time, those of native files first."""
    native = native_reader.read(sources.native, setting, routine) if sources.native else None
    fhir = bundle.read(sources.fhir, setting) if sources.fhir else None
    both = [one for one in (native, fhir) if one is not None]
    people = tuple(person for one in both for person in one.people)
    return Reading(people, _streams(native, fhir), (*sources.rows, *(row for one in both for row in one.rows)))


def _streams(native: Intake | None, fhir: Intake | None) -> tuple[Iterator[Lot], ...]:
    stated: set[str] = set()

    def whole() -> Iterator[Lot]:
        for one in native.patients if native else ():
            if one.id is not None and one.plan is not None:
                stated.add(one.id)
            yield Lot(one, whole=True)

    def parts() -> Iterator[Lot]:
        for one in fhir.patients if fhir else ():
            yield Lot(_unless_stated(one, stated), whole=False)

    return whole(), parts()


def _unless_stated(one: PatientIntake, stated: set[str]) -> PatientIntake:
    """A native file states a patient's whole plan: a part from elsewhere in the same run would come and go with every run."""
    if one.id not in stated or one.plan is None:
        return one
    refusal = Refusal("subject", "A native file of this run states this patient's whole plan.", "the plan in one place")
    rows = tuple(row if row.outcome == "refused" else refused(row.file, row.item, refusal) for row in one.rows)
    return replace(one, contact=None, plan=None, care_team=(), rows=rows)
