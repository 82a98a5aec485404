"""What stands around a patient's medicines: consent, appointments, the care team and its people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from services.scheduler.domain.timing import local
from steadypath.enrol.fhir import node, person
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.intake import Body, Setting
from steadypath.enrol.outcome import Refusal

_LONGEST = 120
#: From a reference to the kind and external id of what it means; None where it is not in the files.
Look = Callable[[str], tuple[str, str] | None]


def consent(resource: Json, name: str, setting: Setting) -> Body:
    """The `consent` of a contact. Raises Refusal where it is no consent in force."""
    node.refuse_modifiers(resource, "Consent")
    if resource.get("status") != "active":
        raise Refusal("Consent.status", "Only a consent in force counts.", "active")
    scope = node.child(resource, "scope", "Consent")
    if any(code in ("research", "adr") for _, code, _ in node.codings(scope, "Consent.scope")):
        raise Refusal("Consent.scope", "It is about something else than treatment.", "patient-privacy, treatment")
    provision = node.child(resource, "provision", "Consent") or {}
    if provision.get("type") != "permit":
        raise Refusal("Consent.provision.type", "It does not permit.", "permit")
    if provision.get("provision"):
        raise Refusal(
            "Consent.provision.provision", "It has exceptions, which nobody here can judge.", "a provision without exceptions"
        )
    if any(one.get("verified") is False for one, _ in node.children(resource, "verification", "Consent")):
        raise Refusal("Consent.verification.verified", "It is marked as not verified.", "true, or left out")
    given = node.whole_date(resource, "dateTime", "Consent")
    if given is None or given[0] > setting.today:
        raise Refusal("Consent.dateTime", "It does not say on which day it was given.", "a date up to today")
    _in_force(provision, setting)
    held = node.children(resource, "organization", "Consent")
    to_whom = node.text_of(held[0][0], "display", held[0][1]) if held else None
    return {
        "given_on": given[0].isoformat(),
        "how": f"FHIR {name}"[:_LONGEST],
        "to_whom": (to_whom or "the clinic").strip()[:_LONGEST],
    }


def _in_force(provision: Json, setting: Setting) -> None:
    period = node.child(provision, "period", "Consent.provision") or {}
    where = "Consent.provision.period"
    start, end = node.whole_date(period, "start", where), node.whole_date(period, "end", where)
    if (start and start[0] > setting.today) or (end and end[0] < setting.today):
        raise Refusal(where, "It does not hold today.", "a period that today lies in")


def denies(resource: Json) -> bool:
    """Whether a consent in force says no: then none is taken from elsewhere."""
    provision = resource.get("provision")
    return resource.get("status") == "active" and isinstance(provision, dict) and provision.get("type") == "deny"


def appointment(resource: Json, external: str, setting: Setting, zone: str | None) -> Body:
    """An appointment of a plan: its local wall time in the clinic's zone. Raises Refusal."""
    node.refuse_modifiers(resource, "Appointment")
    if resource.get("status") != "booked":
        raise Refusal("Appointment.status", "Only an appointment that is booked is planned.", "booked")
    text = node.text_of(resource, "start", "Appointment")
    if text is None:
        raise Refusal("Appointment.start", "It does not say when.", "an instant such as 2026-12-07T10:00:00-05:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal("Appointment.start", "There is no such moment.", "an instant that is in the calendar") from None
    where = setting.zone or zone
    if moment.tzinfo is None or where is None:
        raise Refusal(
            "Appointment.start", "Nobody knows in which zone that is.", "an instant with an offset, and a zone for the clinic"
        )
    at = local(moment, where)
    if at.date() < setting.today or at.date().year > setting.today.year + 10:
        raise Refusal("Appointment.start", "It is over, or more than ten years away.", "a day from today on")
    return {"id": external, "starts_at": f"{at:%Y-%m-%dT%H:%M}", "zone": where}


def practitioner(resource: Json, external: str, roles: Mapping[str, set[str]], setting: Setting) -> Body:
    """The body of PUT /notifier/people/{id}. Raises Refusal."""
    person.refuse_inactive(resource, "Practitioner")
    name = person.name_of(resource, "Practitioner", setting.today)
    if name is None:
        raise Refusal("Practitioner.name", "Nobody can be called by it.", "a name")
    phone = person.phone_of(resource, "Practitioner", setting.country, setting.today)
    body: Body = {"name": name, "phone": phone, "roles": sorted(roles.get(external, set()))}
    language = person.language_of(resource, "Practitioner")
    return body | ({"language": language} if language else {})


def care_team(resource: Json, look: Look) -> tuple[Body, ...]:
    """The chain of PUT /adherence/patients/{id}/care-team: practitioners in the order of the file. Raises Refusal."""
    node.refuse_modifiers(resource, "CareTeam")
    if resource.get("status") not in (None, "active"):
        raise Refusal("CareTeam.status", "Only a team at work is asked.", "active")
    chain: list[Body] = []
    for one, where in node.children(resource, "participant", "CareTeam"):
        member = node.child(one, "member", where) or {}
        found = look(node.text_of(member, "reference", f"{where}.member") or "")
        if found is not None and found[0] == "Patient":
            continue  # patients are members of their own teams, and are not paged about themselves
        if found is None or found[0] != "Practitioner":
            raise Refusal(f"{where}.member", "Who this is is not in the files.", "a reference to a Practitioner in them")
        if all(each["person"] != found[1] for each in chain):
            chain.append({"person": found[1]})
    if not chain:
        raise Refusal("CareTeam.participant", "It names nobody who could be asked.", "at least one Practitioner")
    return tuple(chain)


def roles_in(participant: Json, path: str) -> set[str]:
    """The house's roles that a team member's role clearly says."""
    words = " ".join(
        word for concept, where in node.children(participant, "role", path) for word in node.concept_words(concept, where)
    ).lower()
    said = (("therap", "therapist"), ("psycholog", "therapist"), ("coordinat", "coordinator"), ("case manager", "coordinator"),
            ("prescrib", "prescriber"), ("psychiatr", "prescriber"), ("physician", "prescriber"))  # fmt: skip
    return {role for word, role in said if word in words}
