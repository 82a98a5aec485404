"""The scheduler's HTTP surface: who may, what is refused and how it is named, what is encrypted, what is shown."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.scheduler import effective
from shared.identity import KeyRole, hash_of, key_id_of, new_key
from tests.integration.scheduler.conftest import CLINIC, House, a_dose, a_medicine, a_plan, medication, patient

pytestmark = pytest.mark.anyio

CODE = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "2626", "display": "Zylocanary 25 MG Oral Tablet"}


def with_dose(**changes: Any) -> dict[str, Any]:
    return a_plan(medicines=[a_medicine("m1", {"from_day": 1, "doses": [a_dose() | changes]})])


def with_steps(*days: int) -> dict[str, Any]:
    return a_plan(medicines=[a_medicine("m1", *({"from_day": day, "doses": [a_dose()]} for day in days))])


def with_check_in(**changes: Any) -> dict[str, Any]:
    return a_plan(check_ins=[{"id": "c", "instrument": "phq-2", "item": "down", "time": "10:00"} | changes])


REFUSED: list[tuple[dict[str, Any], str]] = [
    (with_steps(1, 1), "medicines[0].steps[1].from_day"),
    (with_steps(0), "medicines[0].steps[0].from_day"),
    (with_dose(slot="evening"), "medicines[0].steps[0].doses[0].slot"),
    (with_dose(quantity="0"), "medicines[0].steps[0].doses[0].quantity"),
    (with_dose(quantity="NaN"), "medicines[0].steps[0].doses[0].quantity"),
    (with_dose(every_days=0), "medicines[0].steps[0].doses[0].every_days"),
    (with_dose(weekdays=[8]), "medicines[0].steps[0].doses[0].weekdays[0]"),
    (a_plan(medicines=[a_medicine("m1"), a_medicine("m1")]), "medicines"),
    (a_plan(medicines=[a_medicine("m1", kind="taper")]), "medicines[0].ends_on"),
    (a_plan(medicines=[{"id": "m1"}]), "medicines[0].steps"),
    (a_plan(slots={"morning": "08:00", "breakfast": "08:00"}), "slots.breakfast"),
    (a_plan(slots={"morning": "8:00"}), "slots.morning.time"),
    (a_plan(slots={"morning": {"times_from": "routine", "routine": "never"}}), "slots.morning"),
    (a_plan(zone="Mars/Base"), "zone"),
    (a_plan(starts_on="2026-02-30"), "starts_on"),
    (a_plan(starts_on="9999-12-31"), "starts_on"),
    (a_plan(colour="red"), "colour"),
    (
        a_plan(check_ins=[{"id": "c", "instrument": "mood", "item": "mood", "time": "10:00", "answer_within": "P1Y"}]),
        "check_ins[0].answer_within",
    ),
    (with_check_in(instrument="phq-99"), "check_ins[0].instrument"),
    (with_check_in(item="interests"), "check_ins[0].item"),
    (a_plan(follow_ups=[{"id": "f", "due_day": 5, "deadline_day": 4, "time": "10:00"}]), "follow_ups[0].deadline_day"),
    (a_plan(appointments=[{"id": "a", "starts_at": "2026-12-07T10:00:00Z"}]), "appointments[0].starts_at"),
    (a_plan(appointments=[{"id": "a", "starts_at": "2026-12-07T10:00", "follow_up": "x"}]), "appointments[0].follow_up"),
    (
        a_plan(
            slots={"zylocanary-time": "08:00"}, medicines=[a_medicine("m1", {"doses": [a_dose("zylocanary-time")]}, code=CODE)]
        ),
        "slots.zylocanary-time",
    ),
]


@pytest.mark.parametrize(("plan", "element"), REFUSED, ids=[f"{number}-{element}" for number, (_, element) in enumerate(REFUSED)])
async def test_what_cannot_be_is_refused_by_its_name_and_nothing_is_written(
    house: House, plan: dict[str, Any], element: str
) -> None:
    answer = await house.put("p1", plan, expect=422)
    assert answer["element"].startswith(element)
    assert answer["accepted"]
    assert "zylocanary" not in answer["detail"].lower()
    assert await house.rows("select 1 from scheduler.plan union all select 1 from scheduler.outbox") == []


async def test_doses_that_would_pass_the_days_cap_are_refused(house: House) -> None:
    slots = {f"s{hour}": f"{hour:02}:00" for hour in range(6, 20, 2)}
    plan = a_plan(slots=slots, medicines=[a_medicine("m1", {"from_day": 1, "doses": [a_dose(slot) for slot in slots]})])
    answer = await house.put("p1", plan, expect=422)
    assert answer["element"] == "slots"
    await house.call("PUT", "/clinic", {"zone": "America/New_York", "numbers": {"dose_texts_a_day": 7}})
    assert (await house.put("p1", plan))["outcome"] == "started"


async def test_a_dry_run_says_valid_and_writes_nothing(house: House) -> None:
    answer = await house.call("PUT", "/patients/p1/plan?dry_run=true", a_plan())
    assert (answer["outcome"], answer["plan_version"], answer["effective_when_confirmed"]) == ("valid", 0, None)
    assert await house.rows("select 1 from scheduler.plan union all select 1 from scheduler.outbox") == []
    await house.call("PUT", "/patients/p1/plan?dry_run=true", a_plan(zone="Nowhere"), expect=422)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("prescriber", ["plan", "dose", "stop", "visit"]),
        ("coordinator", ["visit"]),
        ("therapist", []),
        ("ops", []),
        ("service", []),
    ],
)
async def test_medicine_is_a_prescribers_and_visits_a_coordinators(house: House, role: KeyRole, allowed: list[str]) -> None:
    await house.put("p1", a_plan())
    calls = {
        "visit": ("PUT", "/patients/p1/appointments/a", {"starts_at": "2026-12-07T10:00"}),
        "plan": ("PUT", "/patients/p2/plan", a_plan()),
        "dose": ("POST", "/patients/p1/plan/dose-change", change()),
        "stop": ("POST", "/patients/p1/plan/stop", {"reason": "other"}),
    }
    key = await a_key(house, role)
    for name, (method, path, body) in calls.items():
        answer = await house.http.request(method, f"/scheduler{path}", json=body, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == (200 if name in allowed else 403), f"{name}: {answer.text}"


def change(**parts: Any) -> dict[str, Any]:
    return {"medicine": "m1", "effective_on": "2026-11-24", "doses": [a_dose(quantity="2")], "reason": "no-response"} | parts


async def a_key(house: House, role: KeyRole, clinic: object = CLINIC) -> str:
    key = new_key()
    async with house.runtime.engine.begin() as conn:
        await conn.exec_driver_sql(
            "INSERT INTO scheduler.api_key (key_id, clinic_id, sha256, label, roles, created_at) "
            f"VALUES ('{key_id_of(hash_of(key))}', '{clinic}', '\\x{hash_of(key).hex()}', '{role}-key', "
            f"'{{{role}}}', '2026-11-23')"
        )
    return key


async def test_another_clinics_patient_does_not_exist(house: House) -> None:
    await house.put("p1", a_plan())
    other = {"Authorization": f"Bearer {await a_key(house, 'prescriber', uuid4())}"}
    ours = patient("p1")
    for method, path, body in (
        ("GET", f"/patients/{ours}/plan", None),
        ("GET", f"/patients/{ours}/preview", None),
        ("PUT", f"/patients/{ours}/plan", a_plan(medicines=[])),
        ("POST", f"/patients/{ours}/plan/stop", {"reason": "other"}),
    ):
        answer: httpx.Response = await house.http.request(method, f"/scheduler{path}", json=body, headers=other)
        assert answer.status_code == 404, answer.text


async def test_names_and_codes_are_sealed_and_never_said(house: House) -> None:
    plan = a_plan(medicines=[a_medicine("canary-medicine", code=CODE)])
    await house.put("canary-patient", plan)
    await house.call("POST", "/patients/canary-patient/plan/stop", {"reason": "Zylocanary made them tired"})
    stored = await house.rows(
        "select plan::text from scheduler.plan union all select occurrence::text from scheduler.occurrence "
        "union all select convert_from(body, 'utf8') || headers::text from scheduler.outbox "
        "union all select audit::text from scheduler.audit union all select due_work::text from scheduler.due_work"
    )
    whole = "\n".join(row[0] for row in stored)
    assert "plan-stopped" in whole
    assert not [word for word in ("ylocanary", "canary-medicine", "canary-patient", '"2626"') if word in whole]
    shown = await house.call("GET", "/patients/canary-patient/plan")
    assert [one["display"] for one in shown["medicines"].values()] == [CODE["display"]]
    assert shown["plan"]["medicines"][0]["rule_sets"] == ["gap-48h"]


async def test_the_preview_shows_every_occurrence_and_marks_doses_at_night(house: House) -> None:
    slots = {"early": "07:59", "morning": "08:00", "late": "20:59", "night": "21:00"}
    doses = [a_dose(slot) for slot in slots]
    check_in = {"id": "mood", "instrument": "mood", "item": "mood", "time": "06:00"}
    await house.put("p1", a_plan(slots=slots, medicines=[a_medicine("m1", {"doses": doses})], check_ins=[check_in]))
    shown = await house.call("GET", "/patients/p1/preview?days=2")
    marks = {(one["local_time"], one["kind"], one["night"]) for one in shown["occurrences"]}
    assert marks == {
        ("06:00", "check-in-due", False),
        ("07:59", "dose-due", True),
        ("08:00", "dose-due", False),
        ("20:59", "dose-due", False),
        ("21:00", "dose-due", True),
    }


async def test_a_version_is_effective_once_the_notifiers_group_is_past_it(house: House) -> None:
    answer = await house.put("p1", a_plan())
    where = answer["effective_when_confirmed"].removeprefix("/scheduler")
    assert (await house.call("GET", where))["published"] is False
    await house.call("GET", "/patients/p1/effective?version=9", expect=404)
    async with house.runtime.engine.begin() as conn:
        offsets = '{"plans.v1": {"0": [7, 9], "2": [1, 1]}}'
        await conn.exec_driver_sql(
            "INSERT INTO scheduler.relay_batch (epoch, repair, window_lo, window_hi, last_seq, complete, offsets, rows) "
            f"VALUES (1, 0, 0, 9000000000000, 9000000000000, true, '{offsets}', 4)"
        )
        confirm = "INSERT INTO scheduler.group_confirmed (consumer_group, topic, partition, next_offset, repair) VALUES "
        await conn.exec_driver_sql(
            f"{confirm} ('{effective.GROUP}', 'plans.v1', 0, 10, 0), ('{effective.GROUP}', 'plans.v1', 2, 1, 0)"
        )
    one_behind = await house.call("GET", where)
    assert (one_behind["published"], one_behind["confirmed"]) == (True, False)
    async with house.runtime.engine.begin() as conn:
        await conn.exec_driver_sql("UPDATE scheduler.group_confirmed SET next_offset = 2 WHERE partition = 2")
    assert (await house.call("GET", where))["confirmed"] is True


async def test_a_plan_without_a_zone_is_kept_and_nothing_goes_until_there_is_one(house: House) -> None:
    answer = await house.put("p1", a_plan(zone=None))
    assert answer["missing"] == ["zone"]
    assert await house.next_due() is None
    await house.call("PUT", "/patients/p1/zone", {"zone": "America/Denver"})
    await house.run_for(days=1)
    assert await house.types() == ["plan-started", "zone-changed", "dose-due"]


async def test_the_same_idempotency_key_does_it_once(house: House) -> None:
    await house.put("p1", a_plan())
    headers = {"Idempotency-Key": "k1"}
    first = await house.call("POST", "/patients/p1/plan/dose-change", change(), headers=headers)
    assert await house.call("POST", "/patients/p1/plan/dose-change", change(), headers=headers) == first
    assert (await house.call("GET", "/patients/p1/plan"))["plan_version"] == 2


async def test_medicines_join_leave_and_switch_by_command(house: House) -> None:
    await house.put("p1", a_plan())
    added = {"medicine": a_medicine("m2"), "reason": "partial-response"}
    assert (await house.call("POST", "/patients/p1/plan/medicines", added))["events"] == ["medication-added"]
    await house.call("POST", "/patients/p1/plan/medicines", added, expect=409)
    switch = {"from_medicine": "m2", "medicine": a_medicine("m3"), "reason": "side-effects"}
    assert (await house.call("POST", "/patients/p1/plan/medicines/switch", switch))["events"] == ["medication-switched"]
    remove = {"medicine": "m3", "reason": "other"}
    assert (await house.call("POST", "/patients/p1/plan/medicines/remove", remove))["events"] == ["medication-removed"]
    taper = change(taper=True, doses=None, steps=[{"from_day": 1, "doses": [a_dose(quantity="0.5")]}, {"from_day": 8}])
    assert (await house.call("POST", "/patients/p1/plan/dose-change", taper))["events"] == ["taper-started"]
    past = await house.call("POST", "/patients/p1/plan/dose-change", change(effective_on="2026-11-01"), expect=422)
    assert past["element"] == "effective_on"


async def test_rule_sets_follow_what_is_taken_beside_by_every_command(house: House) -> None:
    """Valproate doubles lamotrigine's half-life (clinical.md 3.1): what a gap is depends on it, by whatever way it joins."""

    async def now() -> dict[str, list[str]]:
        plan = (await house.call("GET", "/patients/p1/plan"))["plan"]
        names = {str(medication("p1", name)): name for name in ("lam", "val", "lam2")}
        return {names[one["id"]]: one["rule_sets"] for one in plan["medicines"] if one["status"] == "active"}

    lamotrigine, valproate = ({"display": f"{name} 25 MG Oral Tablet"} for name in ("lamotrigine", "valproate"))
    await house.put("p1", a_plan(medicines=[a_medicine("lam", code=lamotrigine, rule_sets=["own-rule"])]))
    assert await now() == {"lam": ["gap-5-half-lives", "own-rule"]}
    add = {"medicine": a_medicine("val", code=valproate), "reason": "partial-response"}
    await house.call("POST", "/patients/p1/plan/medicines", add)
    assert await now() == {"lam": ["gap-5-half-lives-inhibited", "own-rule"], "val": []}
    switch = {"from_medicine": "lam", "medicine": a_medicine("lam2", code=lamotrigine), "reason": "other"}
    await house.call("POST", "/patients/p1/plan/medicines/switch", switch)
    assert await now() == {"lam2": ["gap-5-half-lives-inhibited"], "val": []}
    await house.call("POST", "/patients/p1/plan/medicines/remove", {"medicine": "val", "reason": "other"})
    assert await now() == {"lam2": ["gap-5-half-lives"]}


async def test_a_weekday_that_is_none_is_told_which_there_are(house: House) -> None:
    for wrong in (0, 8, "mon"):
        answer = await house.put("p1", with_dose(weekdays=[wrong]), expect=422)
        assert answer["accepted"] == "1 (Monday) to 7 (Sunday)"


async def test_an_instrument_that_nobody_can_ask_is_told_which_can_be(house: House) -> None:
    answer = await house.put("p1", with_check_in(instrument="phq-99"), expect=422)
    assert (answer["element"], answer["accepted"]) == ("check_ins[0].instrument", "mood, sleep, side-effects, phq-2, gad-2")
    many = {"items": [{"patient": "p1", "plan": with_check_in(item="interests")}]}
    (item,) = (await house.call("POST", "/bulk/plans", many))["items"]
    assert (item["element"], item["accepted"]) == ("check_ins[0].item", "interest, down")
