"""The routines on record, for FHIR's `when` codes: asked for patient by patient, and only where a file has such codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from steadypath.client import Client, ProblemError

Routine = Mapping[str, str]


class KnownRoutines(Mapping[str, Routine]):
    """By the clinic's own id of the patient: word of the day -> "HH:MM". Empty where there is no plan."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, Routine] = {}

    def __getitem__(self, patient: str) -> Routine:
        if patient not in self._known:
            self._known[patient] = self._asked(patient)
        return self._known[patient]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def _asked(self, patient: str) -> Routine:
        try:
            plan = self._client.get(f"/scheduler/patients/{quote(patient, safe='')}/plan")
        except ProblemError as error:
            if error.status != 404:
                raise
            return {}
        return {word: at[:5] for word, at in plan["plan"]["routine"]}
