"""Finds resources in files of any size: what is kept of each is where it stands, who it is and whom it is about.

A file is read through once, an entry at a time; a resource is read again when its patient's turn comes. References are resolved
as FHIR has it: `#contained`, `fullUrl` (urn:uuid, absolute), relative to the server of the entry that refers, or Type/id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from steadypath.enrol import strict_json
from steadypath.enrol.fhir import shapes
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.files import Document
from steadypath.enrol.outcome import Refusal, Row, refused

_EXTERNAL = re.compile(r"[A-Za-z0-9._:@-]{1,64}")
_REFERENCE = re.compile(
    r"(?:(?P<base>https?://\S+)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?"
)
_BUNDLES = ("transaction", "batch", "collection", "searchset")
_ABOUT = {"MedicationRequest": "subject", "CareTeam": "subject", "Consent": "patient"}


@dataclass(frozen=True)
class Entry:
    """Where a resource stands. `about`: the reference to its patient, as written."""

    file: int
    begin: int
    wrapped: bool
    kind: str
    external: str
    full_url: str | None
    about: str | None

    @property
    def item(self) -> str:
        return f"{self.kind}/{self.external}"

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.external


class Store:
    """The resources of some files. `rows`: what was refused on the way in."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._texts: list[str] = []
        self.entries: list[Entry] = []
        self.rows: list[Row] = []
        self._by_key: dict[tuple[str, str], Entry] = {}
        self._by_url: dict[tuple[int, str], Entry] = {}

    def add(self, path: str, document: Document) -> None:
        """Takes a file in, or none of it. Its refusals become rows."""
        number = len(self.paths)
        self.paths.append(path)
        self._texts.append(document.text)
        fresh, rows = list[Entry](), list[Row]()
        try:
            for found in _lines(document.text) if document.kind == "ndjson" else _resources(document.text):
                try:
                    fresh.append(_entry(number, found))
                except Refusal as refusal:
                    rows.append(refused(path, shapes.safe_name(found.value) or found.where, refusal))
        except Refusal as refusal:
            self.rows.append(refused(path, None, refusal))
            return
        self.rows.extend(rows)
        for entry in fresh:
            self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        if entry.full_url is not None:
            if (entry.file, entry.full_url) in self._by_url:
                self._twice(entry, "Bundle.entry.fullUrl")
                return
            self._by_url[entry.file, entry.full_url] = entry
        before = self._by_key.setdefault(entry.key, entry)
        if before is not entry and self.resource(before) == self.resource(entry):
            return  # the same once more, as in exports by page: one row, one place
        if before is not entry:
            self._twice(entry, f"{entry.kind}.id")
            return
        self.entries.append(entry)

    def _twice(self, entry: Entry, element: str) -> None:
        """Two different resources with one id: nobody knows which is meant, so neither goes in."""
        refusal = Refusal(element, "Two different resources have this id.", "an id of its own for each")
        self.rows.append(refused(self.paths[entry.file], entry.item, refusal))
        before = self._by_key.get(entry.key)
        if before is not None and before in self.entries:
            self.entries.remove(before)
            self.rows.append(refused(self.paths[before.file], before.item, refusal))

    def path(self, entry: Entry) -> str:
        return self.paths[entry.file]

    def resource(self, entry: Entry) -> Json:
        """The resource itself, read again from the file's text."""
        value = strict_json.json_value(self._texts[entry.file], entry.begin, again=True)[0]
        found: Json = value["resource"] if entry.wrapped else value
        return found

    def find(self, holder: Entry, reference: str | None) -> Entry | None:
        """The entry that a reference of `holder` means; None where it is not in the files."""
        if not reference:
            return None
        exact = self._by_url.get((holder.file, reference))
        if exact is not None:
            return exact
        found = _REFERENCE.fullmatch(reference)
        if not found:
            return None
        relative = f"{found['type']}/{found['id']}"
        base = found["base"] or _base(holder)
        if base is not None:
            for file in (holder.file, *range(len(self.paths))):
                absolute = self._by_url.get((file, f"{base}/{relative}"))
                if absolute is not None:
                    return absolute
        near = self._by_key.get((found["type"], found["id"]))
        # The same id on another server is somebody else.
        return near if base is None or (found["base"] is None and near is not None and _base(near) in (None, base)) else None

    def resolve(self, holder: Entry, owner: Json, reference: str) -> Json | None:
        """As `find`, contained resources included, and the resource itself."""
        if reference.startswith("#"):
            contained = owner.get("contained")
            inside = contained if isinstance(contained, list) else []
            return next((one for one in inside if isinstance(one, dict) and one.get("id") == reference[1:]), None)
        entry = self.find(holder, reference)
        return self.resource(entry) if entry else None

    def patient_of(self, entry: Entry) -> tuple[Entry | None, str | None]:
        """The patient that a resource is about: their entry where it is in the files, and their external id where it is known."""
        found = self.find(entry, entry.about)
        if found is not None and found.kind == "Patient":
            return found, found.external
        named = _REFERENCE.fullmatch(entry.about or "")
        known = named and named["type"] == "Patient" and (named["base"] is None or named["base"] == _base(entry))
        if not named or not known or ("Patient", named["id"]) in self._by_key:
            return None, None  # an id of another server, or one that means somebody else in these files
        return None, named["id"]


@dataclass(frozen=True)
class _Found:
    """A resource on its way in: the value, where it or its wrapping entry begins, and how to call the place in a row."""

    value: Any
    begin: int
    wrapped: bool
    full_url: str | None
    where: str | None


def _lines(text: str) -> Iterator[_Found]:
    """FHIR's bulk format: a resource on each line."""
    begin = 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value, end = strict_json.json_value(text, begin)
            if end > begin + len(line):
                raise Refusal(f"line {number}", "A resource does not end on its line.", "NDJSON: one resource on each line")
            strict_json.nothing_after(text[: begin + len(line)], end)
            yield _Found(value, begin, False, None, f"line {number}")
        begin += len(line) + 1


def _resources(text: str) -> Iterator[_Found]:
    """The one resource of a file, or those of its Bundle."""
    if text.lstrip()[0] != "{":
        raise Refusal(None, "This JSON is not one resource.", "one resource, a Bundle, or .ndjson")
    top, entries = dict[str, Any](), 0
    for member in strict_json.stream(text, "entry"):
        if member.index is None:
            top[member.key] = member.value
        else:
            entries += 1
            yield _unwrapped(member.value, member.begin, f"Bundle.entry[{member.index}]")
    if top.get("resourceType") == "Bundle" or entries:
        _check_bundle(top)
    else:
        yield _Found(top, 0, False, None, None)


def _check_bundle(top: dict[str, Any]) -> None:
    """Known only at the end, because its members come in any order; until then nothing was kept."""
    if top.get("resourceType") != "Bundle":
        raise Refusal("resourceType", "This JSON is not a FHIR resource.", shapes.ACCEPTED)
    if top.get("type") not in _BUNDLES:
        raise Refusal("Bundle.type", "Resources are not taken from this type of Bundle.", ", ".join(_BUNDLES))
    for key in ("implicitRules", "modifierExtension"):
        if key in top:
            raise Refusal(f"Bundle.{key}", "This changes the meaning of the Bundle in a way that is not known here.", "none")
    if "entry" in top and top["entry"] != []:
        raise Refusal("Bundle.entry", "This is not a list of entries.", "a JSON array")


def _unwrapped(entry: Any, begin: int, where: str) -> _Found:
    """An entry's resource. What is wrong with the entry is found here and said by `_entry`, so that the other entries count."""
    if not isinstance(entry, dict):
        return _Found(None, begin, True, None, where)
    url, request = entry.get("fullUrl"), entry.get("request")
    asked = request.get("method", "PUT") if isinstance(request, dict) else "PUT"
    value = entry.get("resource")
    if asked not in ("PUT", "POST"):
        return _Found(
            _Wrong(f"{where}.request.method", "It does not ask to store the resource.", "PUT, POST", value),
            begin,
            True,
            None,
            where,
        )
    if url is not None and not isinstance(url, str):
        return _Found(_Wrong(f"{where}.fullUrl", "This is not a text.", "a JSON string", value), begin, True, None, where)
    return _Found(value, begin, True, url, where)


class _Wrong(dict[str, Any]):
    """A resource whose entry is wrong: refused with this, under its own name."""

    def __init__(self, element: str, reason: str, accepted: str, value: Any) -> None:
        super().__init__(value if isinstance(value, dict) else {})
        self.refusal = Refusal(element, reason, accepted)


def _entry(file: int, found: _Found) -> Entry:
    if isinstance(found.value, _Wrong):
        raise found.value.refusal
    if found.value is None and found.wrapped:
        raise Refusal(f"{found.where}.resource", "The entry holds no resource.", shapes.ACCEPTED)
    kind = shapes.kind_of(found.value)
    return Entry(
        file,
        found.begin,
        found.wrapped,
        kind,
        _external(found.value, kind, found.full_url),
        found.full_url,
        _about(found.value, kind),
    )


def _external(resource: Json, kind: str, full_url: str | None) -> str:
    """The id under which it is known to the clinic: its own, else of its urn:uuid, else its first identifier's value."""
    candidates: list[Any] = [resource.get("id")]
    if full_url is not None and full_url.startswith("urn:uuid:"):
        candidates.append(full_url[len("urn:uuid:") :])
    identifiers = resource.get("identifier")
    if isinstance(identifiers, list):
        candidates.extend(one.get("value") for one in identifiers if isinstance(one, dict))
    stated = next((one for one in candidates if one is not None), None)
    if not isinstance(stated, str) or not _EXTERNAL.fullmatch(stated):
        raise Refusal(f"{kind}.id", "It has no id to be known by.", "an id of 1 to 64 letters, digits, - and .")
    return stated


def _about(resource: Json, kind: str) -> str | None:
    """The reference to the patient, as written."""
    held = [resource.get(_ABOUT[kind])] if kind in _ABOUT else []
    participants = resource.get("participant") if kind == "Appointment" else None
    if isinstance(participants, list):
        held = [one.get("actor") for one in participants if isinstance(one, dict)]
    references = [one.get("reference") for one in held if isinstance(one, dict)]
    return next((one for one in references if isinstance(one, str) and (kind != "Appointment" or _may_be_patient(one))), None)


def _may_be_patient(reference: str) -> bool:
    found = _REFERENCE.fullmatch(reference)
    return found["type"] == "Patient" if found else reference.startswith("urn:")


def _base(holder: Entry) -> str | None:
    found = _REFERENCE.fullmatch(holder.full_url or "")
    return found["base"] if found else None


def store_of(files: Iterable[tuple[str, Document]]) -> Store:
    """All of some files."""
    store = Store()
    for path, document in files:
        store.add(path, document)
    return store
