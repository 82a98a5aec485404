"""Many plans in one request, on real PostgreSQL: one bad item harms no other, a repeat is the same, a part joins the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.http.bulk import MOST
from tests.integration.scheduler.conftest import House, Json, a_dose, a_medicine, a_plan, medication, patient

KEYS = {"id", "outcome", "element", "reason", "accepted", "status", "plan_version", "medicines", "missing"}


def item(external: str, plan: Any = None, **more: Any) -> Json:
    return {"patient": external, "plan": a_plan() if plan is None else plan} | more


async def put(house: House, *items: Json, dry_run: bool = False, headers: dict[str, str] | None = None) -> list[Json]:
    path = "/bulk/plans" + ("?dry_run=true" if dry_run else "")
    answer = await house.call("POST", path, {"items": list(items)}, headers=headers)
    found: list[Json] = answer["items"]
    assert [one["id"] for one in found] == [one["patient"] for one in items]
    assert all(set(one) == KEYS for one in found)
    return found


def outcomes(found: list[Json]) -> list[tuple[str, str | None]]:
    return [(one["outcome"], one["element"]) for one in found]


async def test_one_bad_item_harms_no_other(house: House) -> None:
    nobody = a_medicine(steps=[{"from_day": 1, "doses": [a_dose("teatime")]}])
    found = await put(
        house,
        item("ana"),
        item("bob", a_plan(medicines=[nobody])),
        item("cyd", a_plan(starts_on="soon")),
        item("no id at all"),
        item("ana"),
        item("dee", 5),
    )
    assert outcomes(found) == [
        ("started", None),
        ("refused", "medicines[0].steps[0].doses[0].slot"),
        ("refused", "starts_on"),
        ("refused", "id"),
        ("refused", "id"),
        ("refused", "body"),
    ]
    assert found[0]["status"] == "active"
    assert found[0]["medicines"] == ["m1"]
    assert await house.types() == ["plan-started"]
    assert await house.rows("select count(*) from scheduler.plan") == [(1,)]
    await house.call("GET", "/patients/bob/plan", expect=404)


async def test_it_is_what_single_commands_do(house: House) -> None:
    """Same rows, same events, same due work, whether plans come one by one or together."""
    plans = {
        "one": a_plan(),
        "two": a_plan(slots={"morning": "08:00", "night": "21:00"}, follow_ups=[follow_up()]),
        "zoneless": a_plan(zone=None),
        "past": a_plan(starts_on="2026-10-01"),
    }
    for name, plan in plans.items():
        await house.put(f"single-{name}", plan)
    single = await house.said()
    await put(house, *(item(f"bulk-{name}", plan) for name, plan in plans.items()))
    together = await house.said()
    assert [shape(event.model_dump(mode="json")) for event in together] == [shape(one.model_dump(mode="json")) for one in single]
    for table in ("occurrence", "due_work", "plan_version"):
        counted = f"select count(*) from scheduler.{table} where patient_id = '{{}}'"
        if table == "due_work":
            counted = f"select due_at from scheduler.{table} where key = '{{}}'"
        for name in plans:
            mine, its = patient(f"bulk-{name}"), patient(f"single-{name}")
            assert await house.rows(counted.format(mine)) == await house.rows(counted.format(its)), (table, name)


def follow_up() -> Json:
    return {"id": "f", "due_day": 7, "deadline_day": 9, "time": "10:00"}


def shape(event: Json) -> Any:
    """An event without its ids."""
    if isinstance(event, dict):
        return {name: shape(value) for name, value in event.items() if not name.endswith("_id")}
    return [shape(one) for one in event] if isinstance(event, list) else event


async def test_again_changes_nothing_and_a_dry_run_writes_nothing(house: House) -> None:
    assert outcomes(await put(house, item("ana"), dry_run=True)) == [("valid", None)]
    tables = ("plan", "audit", "idempotency", "outbox")
    for table in tables:
        assert await house.rows(f"select count(*) from scheduler.{table}") == [(0,)], table
    assert outcomes(await put(house, item("ana"))) == [("started", None)]
    assert outcomes(await put(house, item("ana"))) == [("unchanged", None)]
    assert await house.types() == ["plan-started"]


async def test_a_repeat_with_its_key_gets_the_first_answer(house: House) -> None:
    key = {"Idempotency-Key": "chunk-1"}
    first = await put(house, item("ana"), item("bob"), headers=key)
    assert await put(house, item("ana"), item("bob"), headers=key) == first
    assert [one["outcome"] for one in first] == ["started", "started"]
    audited = await house.rows("select objects from scheduler.audit")
    assert audited == [({"patients": f"{patient('ana')} {patient('bob')}"},)]
    await house.call("POST", "/bulk/plans", {"items": [item("cyd")]}, expect=422, headers=key)


async def test_a_row_that_the_database_refuses_is_refused_alone(house: House, database: Any) -> None:
    """The chunk is taken back to its savepoint and goes one by one: what the culprit said goes with it."""
    database.sql(
        "create function scheduler.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;"
        "create trigger refuse before insert on scheduler.plan_version for each row "
        f"when (new.patient_id = '{patient('bob')}') execute function scheduler.refuse()"
    )
    found = await put(house, item("ana"), item("bob"), item("cyd"))
    assert outcomes(found) == [("started", None), ("refused", "id"), ("started", None)]
    assert {event.key for event in await house.said()} == {patient("ana"), patient("cyd")}
    for table, key in (("plan", "patient_id"), ("occurrence", "patient_id"), ("due_work", "key")):
        assert await house.rows(f"select count(*) from scheduler.{table} where {key} = '{patient('bob')}'") == [(0,)]
    assert await house.rows("select count(*) from scheduler.audit") == [(1,)]


async def test_a_request_holds_at_most_500_items_and_may_be_large(house: House) -> None:
    await house.call("POST", "/bulk/plans", {"items": [item("ana")] * (MOST + 1)}, expect=422)
    await house.call("POST", "/bulk/plans", {"items": []}, expect=422)
    wide = a_plan(medicines=[a_medicine(f"m{number}", code={"display": "x" * 180}) for number in range(12)])
    items = [item(f"p{number}", wide) for number in range(400)]
    assert len(json.dumps(items)) > 1_048_576
    assert {one["outcome"] for one in await put(house, *items, dry_run=True)} == {"valid"}


# --- parts of a plan ------------------------------------------------------------------------------------------------------


def part(external: str, *medicines: Json, slot: str = "t0900", at: str = "09:00", **more: Any) -> Json:
    plan = a_plan(slots={slot: {"time": at, "times_from": "routine"}}, medicines=list(medicines))
    return item(external, plan, whole=False, **more)


def nine(external: str, **more: Any) -> Json:
    return a_medicine(external, {"from_day": 1, "doses": [a_dose("t0900")]}, **more)


async def standing(house: House, external: str) -> dict[str, str]:
    plan = (await house.call("GET", f"/patients/{external}/plan"))["plan"]
    return {one["id"]: one["status"] for one in plan["medicines"]}


async def test_a_part_joins_the_plan_and_joins_it_once(house: House) -> None:
    await house.put("ana", a_plan())
    for outcome in ("changed", "unchanged"):
        assert outcomes(await put(house, part("ana", nine("m2")))) == [(outcome, None)]
    assert await standing(house, "ana") == {str(medication("ana")): "active", str(medication("ana", "m2")): "active"}
    assert await house.types() == ["plan-started", "medication-added"]
    changed = await put(house, part("ana", nine("m2", ends_on="2026-12-24")))
    assert changed[0]["medicines"] == ["m2"]
    assert await house.types() == ["dose-changed"]


async def test_a_part_at_a_known_time_shares_its_text(house: House) -> None:
    await house.put("ana", a_plan())
    await put(house, part("ana", a_medicine("m2", {"from_day": 1, "doses": [a_dose("t0800")]}), slot="t0800", at="08:00"))
    plan = (await house.call("GET", "/patients/ana/plan"))["plan"]
    assert [slot["id"] for slot in plan["slots"]] == ["morning"]
    assert {one["steps"][0]["doses"][0]["slot"] for one in plan["medicines"]} == {"morning"}
    assert plan["slots"][0]["times_from"] == "plan"


async def test_a_day_one_that_was_only_assumed_stays(house: House) -> None:
    """The file says no first day: read again a week later it is the same plan, in part and as a whole."""
    first = a_plan(starts_on="2026-11-23")
    later = a_plan(starts_on="2026-11-30")
    for whole, external in ((True, "ana"), (False, "bob")):
        kind = {"whole": whole, "starts_assumed": True}
        assert outcomes(await put(house, item(external, first, **kind))) == [("started", None)]
        assert outcomes(await put(house, item(external, later, **kind))) == [("unchanged", None)]
        assert outcomes(await put(house, item(external, later, whole=whole))) == [("changed", None)]


async def test_on_hold_goes_in_paused_and_runs_once_it_is_active(house: House) -> None:
    on_hold = await put(house, part("ana", nine("m1"), paused=True))
    assert [(one["outcome"], one["status"]) for one in on_hold] == [("started", "paused")]
    assert await house.types() == ["plan-started", "plan-paused"]
    assert await house.rows("select count(*) from scheduler.occurrence") == [(0,)]
    assert outcomes(await put(house, part("ana", nine("m1"), paused=True))) == [("unchanged", None)]
    assert outcomes(await put(house, part("ana", nine("m2")))) == [("refused", "medicines")]
    again = await put(house, part("ana", nine("m1")))
    assert [(one["outcome"], one["status"]) for one in again] == [("changed", "active")]
    assert await house.types() == ["plan-resumed"]
    assert await house.rows("select count(*) > 0 from scheduler.occurrence") == [(True,)]


async def test_on_hold_beside_medicines_in_force_is_refused(house: House) -> None:
    await house.put("ana", a_plan())
    assert outcomes(await put(house, part("ana", nine("m2"), paused=True))) == [("refused", "medicines")]
    assert await house.types() == ["plan-started"]


async def test_what_a_clinician_has_changed_since_stays(house: House) -> None:
    """Paused by command, a dose changed, a medicine removed: the same file again undoes none of it."""
    await put(house, part("ana", nine("m1"), nine("m2")))
    change = {"medicine": "m1", "effective_on": "2026-11-24", "doses": [a_dose("t0900", "3")], "reason": "partial-response"}
    await house.call("POST", "/patients/ana/plan/dose-change", change)
    await house.call("POST", "/patients/ana/plan/medicines/remove", {"medicine": "m2", "reason": "side-effects"})
    await house.call("POST", "/patients/ana/plan/pause", {"reason": "admission"})
    await house.said()
    assert outcomes(await put(house, part("ana", nine("m1"), nine("m2")))) == [("unchanged", None)]
    plan = (await house.call("GET", "/patients/ana/plan"))["plan"]
    assert plan["status"] == "paused"
    assert {one["id"]: one["status"] for one in plan["medicines"]}[str(medication("ana", "m2"))] == "stopped"
    assert await house.types() == []


async def test_a_plan_that_is_over_begins_anew_with_the_part_alone(house: House) -> None:
    await house.put("ana", a_plan())
    await house.call("POST", "/patients/ana/plan/stop", {"reason": "transferred"})
    assert outcomes(await put(house, part("ana", nine("m2")))) == [("started", None)]
    assert await standing(house, "ana") == {str(medication("ana", "m2")): "active"}


async def test_what_is_taken_beside_decides_the_rule_sets_of_both(house: House) -> None:
    lamotrigine = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "28439", "display": "lamotrigine"}
    valproate = {"display": "valproate 500 MG"}
    await put(house, part("ana", nine("m1", code=lamotrigine, rule_sets=["own-rule"])))
    before = await rule_sets(house, "ana", "m1")
    await put(house, part("ana", nine("m2", code=valproate)))
    after = await rule_sets(house, "ana", "m1")
    assert "own-rule" in before
    assert "own-rule" in after
    together = a_plan(medicines=[a_medicine("m1", code=lamotrigine, rule_sets=["own-rule"]), a_medicine("m2", code=valproate)])
    await house.put("bob", together)
    assert after == await rule_sets(house, "bob", "m1")
    assert before != after


async def rule_sets(house: House, external: str, name: str) -> list[str]:
    plan = (await house.call("GET", f"/patients/{external}/plan"))["plan"]
    return [rule for one in plan["medicines"] if one["id"] == str(medication(external, name)) for rule in one["rule_sets"]]


@pytest.mark.parametrize("whole", [True, False])
async def test_another_clinics_patient_does_not_exist(house: House, whole: bool) -> None:
    await house.put("ana", a_plan())
    async with house.runtime.engine.begin() as conn:
        await conn.exec_driver_sql("update scheduler.plan set clinic_id = gen_random_uuid()")
    assert outcomes(await put(house, item("ana", whole=whole))) == [("refused", "id")]
