"""A Patient as a contact, and what is still missing before a text may go to them: a phone, a zone, consent."""

from __future__ import annotations

from dataclasses import dataclass

from services.notifier import numbers
from services.scheduler.domain.timing import zone_names
from steadypath.enrol.fhir import node, person
from steadypath.enrol.fhir.node import Json
from steadypath.enrol.intake import Body, Setting
from steadypath.enrol.outcome import Refusal

TIMEZONE = "http://hl7.org/fhir/StructureDefinition/timezone"
_TYPE = "Patient"
#: What Address.country holds in practice beside ISO 3166: names and alpha-3 codes of the countries that clinics sent so far.
_COUNTRIES = {
    "USA": "US", "UNITED STATES": "US", "UNITED STATES OF AMERICA": "US", "U.S.": "US", "U.S.A.": "US", "840": "US",
    "CAN": "CA", "CANADA": "CA", "MEX": "MX", "MEXICO": "MX", "GBR": "GB", "UNITED KINGDOM": "GB", "UK": "GB", "IRL": "IE",
    "IRELAND": "IE", "AUS": "AU", "AUSTRALIA": "AU", "NZL": "NZ", "NEW ZEALAND": "NZ", "DEU": "DE", "GERMANY": "DE", "FRA": "FR",
    "FRANCE": "FR", "ESP": "ES", "SPAIN": "ES", "NLD": "NL", "NETHERLANDS": "NL", "AUT": "AT", "AUSTRIA": "AT", "CHE": "CH",
    "SWITZERLAND": "CH", "PRI": "PR", "PUERTO RICO": "PR",
}  # fmt: skip


@dataclass(frozen=True)
class Need:
    """What is missing before a text may go."""

    element: str
    reason: str
    accepted: str


NO_PHONE = Need("Patient.telecom", "There is no mobile phone number.", "a telecom with system sms, or phone with use mobile")
NO_ZONE = Need(
    "Patient.extension(timezone)",
    "Nothing says in which time zone the patient lives.",
    f"the extension {TIMEZONE}, or a Patient.address in the clinic's country",
)
NO_CONSENT = Need("Consent", "No consent to texts is on record.", "an active Consent that permits, or --consent HOW")


@dataclass(frozen=True)
class PatientRead:
    """`contact`: the body of PUT /notifier/patients/{id}, without consent."""

    contact: Body
    zone: str | None
    needs: tuple[Need, ...]


def read(patient: Json, external: str, setting: Setting) -> PatientRead:
    """Reads a Patient that has the shape of one. Raises Refusal."""
    person.refuse_inactive(patient, _TYPE)
    if patient.get("deceasedBoolean") is True or patient.get("deceasedDateTime") is not None:
        raise Refusal("Patient.deceased[x]", "No texts are planned for this patient.", "a patient who is alive")
    if any(one.get("type") == "replaced-by" for one, _ in node.children(patient, "link", _TYPE)):
        raise Refusal("Patient.link", "Another record has replaced this one.", "the record that replaces it")
    country = _country(patient, setting)
    phone = person.phone_of(patient, _TYPE, country or setting.country, setting.today)
    zone = _zone(patient, country, setting)
    contact: Body = {"name": person.name_of(patient, _TYPE, setting.today) or external, "phone": phone, "privacy": "discreet"}
    language = person.language_of(patient, _TYPE)
    contact |= {"language": language} if language else {}
    contact |= {"country": country} if country else {}
    missing = [*([] if phone else [NO_PHONE]), *([] if zone else [NO_ZONE])]
    return PatientRead(contact, zone, tuple(missing))


def _country(patient: Json, setting: Setting) -> str | None:
    """ISO 3166-1 alpha-2 of where they live: home before anything else; None where no address says."""
    found: list[tuple[bool, str]] = []
    for one, where in node.children(patient, "address", _TYPE):
        said = (node.text_of(one, "country", where) or "").strip().upper()
        if said and one.get("use") != "billing" and person.in_use(one, where, setting.today):
            code = said if len(said) == 2 else _COUNTRIES.get(said, "")
            found.append((one.get("use") != "home", _COUNTRIES.get(code, code)))
    return next((code for _, code in sorted(found) if numbers.is_country(code)), None)


def _zone(patient: Json, country: str | None, setting: Setting) -> str | None:
    """HL7's extension, else the one to assume, else the clinic's zone for who lives in the clinic's country."""
    stated = [one for one, _ in node.children(patient, "extension", _TYPE) if one.get("url") == TIMEZONE]
    if not stated:
        return setting.assumed_zone or (setting.zone if country == setting.country else None)
    zone = stated[0].get("valueCode")
    if len(stated) > 1 or not isinstance(zone, str) or zone not in zone_names():
        raise Refusal("Patient.extension(timezone).valueCode", "This is no time zone.", "one IANA zone such as America/New_York")
    return zone
