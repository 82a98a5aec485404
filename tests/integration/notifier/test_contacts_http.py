"""Contacts over HTTP: consent, numbers, labels, staff's commands; one version and one whole state event for every change."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from services.notifier.storage import contacts, wishes
from services.notifier.storage.hearing_tables import contact
from services.notifier.storage.tables import message
from shared.events.base import stable_id
from tests.integration.notifier.bench import CLINIC, LINE, Bench

pytestmark = pytest.mark.anyio
PATIENT = stable_id(CLINIC, "patient", "p-1")
CONSENT = {"given_on": "2026-11-20", "how": "signed form", "to_whom": "Nurse Quetzal"}
BODY = {"name": "Ada Quetzal", "phone": "(212) 555-0142", "privacy": "named", "consent": CONSENT}


async def put(http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await http.put(path, json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def post(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await http.post(path, json={"reason": "told at the desk"})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_patient_is_put_said_once_and_welcomed_once(bench: Bench, http: httpx.AsyncClient) -> None:
    created = await put(http, "/patients/p-1", BODY)
    assert (created["id"], created["outcome"], created["missing"]) == (str(PATIENT), "created", [])
    assert (await put(http, "/patients/p-1", BODY))["outcome"] == "unchanged"
    assert (await put(http, "/patients/p-1", BODY | {"language": "es"}))["outcome"] == "changed"
    said = await bench.said("contact-changed", "preference-changed")
    assert [each["contact_version"] for each in said] == [1, 2]
    assert said[0]["contact"] | {"paused_until": None} == {
        "reachable": True,
        "number_on_file": True,
        "consent": True,
        "opted_out": False,
        "number_suspect": False,
        "texts_paused": "no",
        "paused_until": None,
    }
    async with bench.runtime.unit() as unit:
        keys = (await unit.conn.execute(select(message.c.key, message.c.cause_type))).all()
        facts = (await contacts.gate_facts(unit, [PATIENT]))[PATIENT]
    assert [tuple(row) for row in keys] == [(f"welcome/{PATIENT}", "contact-changed")]
    assert (facts.number, facts.name, facts.language, facts.country) == ("+12125550142", "Ada Quetzal", "es", "US")
    assert (await http.get("/patients/p-1")).json()["consent"] == CONSENT


async def test_without_consent_nothing_is_welcomed_and_it_is_said_what_is_missing(bench: Bench, http: httpx.AsyncClient) -> None:
    made = await put(http, "/patients/p-1", {"name": "Ada", "consent": None})
    assert made["missing"] == ["phone", "consent"]
    assert (await put(http, "/patients/p-1", {"name": "Ada", "phone": "+12125550142", "consent": CONSENT}))["missing"] == []
    async with bench.runtime.unit() as unit:
        assert len((await unit.conn.execute(select(message.c.id))).all()) == 1
    # Consent is taken back: nobody is reachable, the record of it stays.
    await put(http, "/patients/p-1", {"name": "Ada", "consent": None})
    assert (await bench.said("contact-changed"))[-1]["contact"]["reachable"] is False


@pytest.mark.parametrize(
    ("change", "element"),
    [({"phone": "12"}, "phone"), ({"phone": "call me"}, "phone"), ({"country": "ZZ"}, "country"), ({"nick": "x"}, "nick")],
)
async def test_refusals_name_the_element_and_never_the_value(
    bench: Bench, http: httpx.AsyncClient, change: dict[str, str], element: str
) -> None:
    answer = await http.put("/patients/p-1", json=BODY | change)
    assert answer.status_code == 422
    assert element in answer.text
    assert "call me" not in answer.text
    assert "Quetzal" not in answer.text
    assert (await http.get("/patients/p-1")).status_code == 404


async def test_staff_end_begin_pause_and_suspend(bench: Bench, http: httpx.AsyncClient) -> None:
    await put(http, "/patients/p-1", BODY)
    for path, event in (
        ("opt-out", "patient-opted-out"),
        ("opt-in", "patient-opted-in"),
        ("pause-texts", "texts-paused"),
        ("resume-texts", "texts-resumed"),
        ("number-suspect", "number-suspect"),
        ("suspend", "contact-suspended"),
    ):
        assert (await post(http, f"/patients/p-1/{path}"))["outcome"] == "changed"
        assert (await bench.said())[-1]["type"].startswith(event)
        assert (await post(http, f"/patients/p-1/{path}"))["outcome"] == "unchanged"
    assert [each["contact_version"] for each in await bench.said()] == [1, 2, 3, 4, 5, 6, 7]
    # A new number is no suspect one, and in use again.
    await put(http, "/patients/p-1", BODY | {"phone": "+12125550143"})
    assert (await bench.said())[-1]["contact"]["reachable"] is True


async def test_the_same_contact_again_leaves_a_number_out_of_use(bench: Bench, http: httpx.AsyncClient) -> None:
    """A list that is sent every night would bring back what staff took out of use in the day."""
    await put(http, "/patients/p-1", BODY)
    await post(http, "/patients/p-1/suspend")
    many = {"patients": [{"patient": "p-1", "contact": BODY}]}
    assert (await put(http, "/patients/p-1", BODY))["outcome"] == "unchanged"
    assert (await http.post("/bulk/contacts", json=many)).json()["patients"][0]["outcome"] == "unchanged"
    assert (await bench.said())[-1]["type"].startswith("contact-suspended")
    # Another preference is kept, and the number stays out of use.
    await put(http, "/patients/p-1", BODY | {"language": "es"})
    assert (await bench.said())[-1]["contact"]["number_on_file"] is False
    assert (await post(http, "/patients/p-1/reinstate"))["outcome"] == "changed"
    assert (await bench.said())[-1]["contact"]["reachable"] is True
    assert (await post(http, "/patients/p-1/reinstate"))["outcome"] == "unchanged"


async def test_only_a_clinician_ends_a_crisis_pause(bench: Bench, http: httpx.AsyncClient) -> None:
    await put(http, "/patients/p-1", BODY)
    async with bench.runtime.unit() as unit:
        await wishes.pause(unit, PATIENT, "crisis", None)
        assert await wishes.resume(unit, PATIENT) is None
        assert await wishes.pause(unit, PATIENT, "by-patient", unit.now) is None
    assert (await post(http, "/patients/p-1/resume-texts"))["outcome"] == "changed"


async def test_labels_people_and_the_clinic(bench: Bench, http: httpx.AsyncClient) -> None:
    settings = {"name": "C", "zone": "America/Chicago", "country": "US", "sender": LINE, "crisis_contact": "dr-1"}
    assert (await put(http, "/clinic", settings))["outcome"] == "changed"
    assert (await put(http, "/clinic", settings))["outcome"] == "unchanged"
    await put(http, "/clinic", settings | {"zone": "Mars/Base"}, 422)
    await put(http, "/people/dr-1", {"name": "Dr. Quokka", "phone": "+12125550199", "roles": ["prescriber"]})
    await put(http, "/patients/p-1", BODY | {"alias": "p one"})
    medicine = stable_id(CLINIC, "medication", "p-1", "m-1")
    for _ in range(2):
        await put(http, f"/medications/{medicine}/label", {"text": "morning pill", "patient": "p-1"})
    await put(http, f"/medications/{medicine}/label", {"text": "mine", "patient": "p-2"}, 409)
    async with bench.runtime.unit() as unit:
        facts = (await contacts.gate_facts(unit, [PATIENT]))[PATIENT]
    assert facts.labels == {medicine: "morning pill"}
    assert facts.crisis_contact_id == stable_id(CLINIC, "person", "dr-1")
    lines = (await http.get("/contacts")).json()
    assert {(line["role"], line["label"], line["zone"]) for line in lines} == {
        ("care-team", "Dr. Quokka", "America/Chicago"),
        ("patient", "p one", None),
    }


async def test_who_is_put_on_a_stopped_number_is_stopped(bench: Bench, http: httpx.AsyncClient) -> None:
    await put(http, "/patients/p-1", BODY)
    async with bench.runtime.unit() as unit:
        await wishes.opt_out(unit, PATIENT, "keyword", reply_id=stable_id("inbound", "SM1"))
    await put(http, "/patients/p-2", BODY | {"name": "Bo"})
    assert (await http.get("/patients/p-2")).json()["opted_out"] is True


async def test_a_forgotten_patient_leaves_no_name_or_number(bench: Bench, http: httpx.AsyncClient) -> None:
    await put(http, "/patients/p-1", BODY)
    assert (await http.delete("/patients/p-1")).status_code == 200
    async with bench.runtime.unit() as unit:
        row = (await unit.conn.execute(select(contact).where(contact.c.id == PATIENT))).one()
    assert (row.number_sealed, row.number_index) == (None, None)
    view = (await http.get("/patients/p-1")).json()
    assert (view["name"], view["phone"], view["consent"]) == ("", None, None)
    assert (await bench.said())[-1]["contact"]["reachable"] is False


async def test_a_key_is_needed(bench: Bench, http: httpx.AsyncClient) -> None:
    assert (await http.get("/patients/p-1", headers={"Authorization": "Bearer nobody"})).status_code == 401
