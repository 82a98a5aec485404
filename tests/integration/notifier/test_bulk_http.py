"""Many contacts in one request, on real PostgreSQL: the same as one by one, and one bad item harms no other."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from services.notifier.storage import wishes
from shared.events.base import stable_id
from tests.integration.notifier.bench import CLINIC, Bench

pytestmark = pytest.mark.anyio
CONSENT = {"given_on": "2026-11-20", "how": "signed form", "to_whom": "Nurse Quetzal"}
Json = dict[str, Any]


def contact(number: int, **more: Any) -> Json:
    whole: Json = {"name": f"Ada {number}", "phone": f"(212) 555-{number:04d}", "privacy": "named", "consent": CONSENT}
    return {name: value for name, value in (whole | more).items() if value is not ...}


def item(external: str, body: Json | None, **more: Any) -> Json:
    return {"patient": external, "contact": body} | more


async def bulk(http: httpx.AsyncClient, *patients: Json, dry_run: bool = False, **more: Any) -> Json:
    answer = await http.post(f"/bulk/contacts?dry_run={str(dry_run).lower()}", json={"patients": list(patients)} | more)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    assert [one["id"] for one in found["patients"]] == [one["patient"] for one in patients]
    return found


async def view(http: httpx.AsyncClient, external: str) -> Json:
    answer = await http.get(f"/patients/{external}")
    found: Json = answer.json() if answer.status_code == 200 else {}
    return found


async def rows(bench: Bench, sql: str) -> list[tuple[Any, ...]]:
    async with bench.runtime.engine.connect() as conn:
        return [tuple(row) for row in await conn.execute(text(sql))]


async def test_together_as_one_by_one(bench: Bench, http: httpx.AsyncClient) -> None:
    bodies = {
        "whole": contact(1),
        "no-phone": contact(2, phone=...),
        "no-consent": contact(3, consent=...),
        "nulls": contact(4, phone=None, consent=None, language="es", country="CA", alias="A."),
    }
    for name, body in bodies.items():
        other = body | {"phone": body["phone"].replace("212", "213")} if body.get("phone") else body
        assert (await http.put(f"/patients/single-{name}", json=other)).status_code == 200
    single = [event["contact"] for event in await bench.said("contact-changed")]
    found = await bulk(http, *(item(f"bulk-{name}", body) for name, body in bodies.items()))
    assert [(one["outcome"], one["missing"]) for one in found["patients"]] == [
        ("created", []),
        ("created", ["phone"]),
        ("created", ["consent"]),
        ("created", ["phone", "consent"]),
    ]
    assert [event["contact"] for event in (await bench.said("contact-changed"))[len(single) :]] == single
    for name in bodies:
        mine, its = await view(http, f"bulk-{name}"), await view(http, f"single-{name}")
        differ = {field for field in its if mine[field] != its[field]}
        assert differ <= {"id", "phone"}, name
    assert await rows(bench, "select count(*) from notifier.message where kind = 'welcome'") == [(2,)]


async def test_again_changes_nothing_and_what_differs_is_changed(bench: Bench, http: httpx.AsyncClient) -> None:
    await bulk(http, item("a", contact(1)), item("b", contact(2)), item("c", contact(3)))
    said = len(await bench.said("contact-changed", "preference-changed"))
    found = await bulk(http, item("a", contact(1)), item("b", contact(2, language="es")), item("c", contact(3, consent=None)))
    assert [(one["outcome"], one["missing"]) for one in found["patients"]] == [
        ("unchanged", []),
        ("changed", []),
        ("changed", ["consent"]),
    ]
    assert len(await bench.said("contact-changed", "preference-changed")) == said + 2


async def test_one_bad_item_harms_no_other_and_leaves_nothing(bench: Bench, http: httpx.AsyncClient) -> None:
    found = await bulk(
        http,
        item("a", contact(1)),
        item("b", contact(2, phone="+1 999")),
        item("c", contact(3, nmae="x")),
        item("d e", contact(4)),
        item("a", contact(5)),
        item("f", contact(6), labels={"m": ""}),
        people=[{"person": "p", "contact": {"name": "P", "zone": "Mars/X"}}, {"person": "q", "contact": {"name": "Q"}}],
    )
    assert [(one["outcome"], one["element"]) for one in found["patients"]] == [
        ("created", None),
        ("refused", "phone"),
        ("refused", "nmae"),
        ("refused", "id"),
        ("refused", "id"),
        ("refused", "labels"),
    ]
    assert [(one["outcome"], one["element"]) for one in found["people"]] == [("refused", "zone"), ("created", None)]
    assert "999" not in str(found)
    assert await rows(bench, "select count(*) from notifier.contact where role = 'patient' and name_sealed is not null") == [(1,)]
    assert len(await bench.said("contact-changed")) == 2


async def test_a_dry_run_writes_nothing(bench: Bench, http: httpx.AsyncClient) -> None:
    before = await rows(bench, "select (select count(*) from notifier.audit), (select count(*) from notifier.outbox)")
    found = await bulk(http, item("a", contact(1)), item("b", contact(2, country="XX")), dry_run=True)
    assert [(one["outcome"], one["element"]) for one in found["patients"]] == [("valid", None), ("refused", "country")]
    assert await rows(bench, "select (select count(*) from notifier.audit), (select count(*) from notifier.outbox)") == before
    assert await view(http, "a") == {}


async def test_labels_come_with_their_patient_and_are_nobody_elses(bench: Bench, http: httpx.AsyncClient) -> None:
    ours = str(stable_id(CLINIC, "medication", "a", "m1"))
    assert (await bulk(http, item("a", contact(1), labels={"m1": "blue", "m2": "red"})))["patients"][0]["outcome"] == "created"
    assert (await bulk(http, item("a", contact(1), labels={"m1": "blue"})))["patients"][0]["outcome"] == "unchanged"
    assert (await bulk(http, item("a", None, labels={ours: "green"})))["patients"][0]["outcome"] == "changed"
    found = (await bulk(http, item("b", contact(2), labels={ours: "mine"})))["patients"][0]
    assert (found["outcome"], found["element"]) == ("refused", "patient")
    assert await view(http, "b") == {}
    assert await rows(bench, "select count(*) from notifier.label") == [(2,)]


async def test_consent_for_all_never_replaces_one_that_stands(bench: Bench, http: httpx.AsyncClient) -> None:
    await bulk(http, item("a", contact(1)), item("b", contact(2, consent=...)))
    for_all = CONSENT | {"how": "by phone"}
    again = [item(one, contact(number, consent=for_all), consent_if_none=True) for number, one in ((1, "a"), (2, "b"))]
    assert [one["outcome"] for one in (await bulk(http, *again))["patients"]] == ["unchanged", "changed"]
    assert (await view(http, "a"))["consent"]["how"] == "signed form"
    assert (await view(http, "b"))["consent"]["how"] == "by phone"


async def test_a_newcomer_on_a_number_that_said_stop_is_opted_out(bench: Bench, http: httpx.AsyncClient) -> None:
    await bulk(http, item("a", contact(1)))
    async with bench.runtime.unit() as unit:
        await unit.lock(stable_id(CLINIC, "patient", "a"))
        await wishes.opt_out(unit, stable_id(CLINIC, "patient", "a"), "keyword")
    await bulk(http, item("b", contact(1)), item("c", contact(2)))
    assert (await view(http, "b"))["opted_out"] is True
    assert (await view(http, "c"))["opted_out"] is False


async def test_a_row_that_the_database_refuses_is_refused_alone(bench: Bench, http: httpx.AsyncClient) -> None:
    bad = stable_id(CLINIC, "patient", "b")
    async with bench.runtime.engine.begin() as conn:
        await conn.execute(text(f"alter table notifier.label add check (patient_id <> '{bad}')"))
    found = await bulk(http, *(item(one, contact(number), labels={"m": "x"}) for number, one in enumerate("abc")))
    assert [one["outcome"] for one in found["patients"]] == ["created", "refused", "created"]
    assert await view(http, "b") == {}
    said = {event["patient_id"] for event in await bench.said("contact-changed")}
    assert said == {str(stable_id(CLINIC, "patient", one)) for one in "ac"}
    assert await rows(bench, "select count(*) from notifier.message where kind = 'welcome'") == [(2,)]
