"""The switch that stops texts, of a clinic and of all: what it withholds, who may turn it, where it shows. The phones judge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, text

from services.notifier import switch
from shared.db import metadata_for, tables_of
from shared.house_tables import house_tables
from shared.identity import hash_of, key_id_of
from shared.messaging.work import WorkItem
from tests.integration.notifier.bench import CLINIC, Bench
from tests.integration.notifier.texts_out import alert, raised, status

pytestmark = pytest.mark.anyio
OTHER_CLINIC = uuid4()
OTHER_KEY = "spk_00000001_an-ops-key-of-another-clinic"
DUE = tables_of("notifier").due_work
NOTICE = house_tables(metadata_for("notifier")).ops_notice
OFF = {"sending": "off", "reason": "Wrong texts went out!"}
ON = {"sending": "on", "reason": "Mended."}


@pytest.fixture
async def other(bench: Bench, http: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The API with the key of another clinic's ops."""
    keys = house_tables(metadata_for("notifier")).api_key
    values = {"key_id": key_id_of(hash_of(OTHER_KEY)), "clinic_id": OTHER_CLINIC, "sha256": hash_of(OTHER_KEY)}
    async with bench.runtime.unit() as unit:
        await unit.conn.execute(keys.insert().values(**values, label="ops-desk", roles=["ops"], created_at=unit.now))
    headers = {"Authorization": f"Bearer {OTHER_KEY}"}
    async with httpx.AsyncClient(base_url=http.base_url, headers=headers, timeout=20) as client:
        yield client


async def turn(http: httpx.AsyncClient, wanted: dict[str, Any], code: int = 200) -> dict[str, Any]:
    answer = await http.put("/switch", json=wanted)
    assert answer.status_code == code, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def gone(bench: Bench) -> str | None:
    """What became of a dose's text that was due now: why it was withheld, None where it went."""
    patient = await bench.patient()
    dose = bench.dose(patient)
    await bench.hear(dose)
    await bench.settle()
    state, why = await status(bench, dose)
    assert len(await bench.phone_of(patient)) == (0 if state == "withheld" else 1)
    return why


async def notices(bench: Bench) -> list[tuple[str, dict[str, Any], UUID | None]]:
    async with bench.runtime.engine.connect() as conn:
        rows = await conn.execute(select(NOTICE).order_by(NOTICE.c.at, NOTICE.c.kind.desc()))
        return [(row.kind, row.details, row.clinic_id) for row in rows]


async def test_off_withholds_all_but_a_crisis_and_on_lets_texts_go_again(bench: Bench, http: httpx.AsyncClient) -> None:
    shown = await turn(http, OFF)
    assert (shown["sending"], shown["everything"], shown["clinic"], shown["all"]) == ("off", False, "off", "on")
    assert await gone(bench) == "switched-off"
    patient, nurse = await bench.patient(), await bench.staff()
    await bench.hear(raised(patient, alert(bench, patient, nurse, severity="crisis", kind="crisis")))
    await bench.settle()
    assert len(await bench.phone_of(nurse)) == 1
    assert (await turn(http, ON))["sending"] == "on"
    assert await gone(bench) is None


async def test_with_everything_a_crisis_goes_by_the_ops_channel(bench: Bench, http: httpx.AsyncClient) -> None:
    await turn(http, OFF | {"everything": True})
    patient, nurse = await bench.patient(), await bench.staff()
    crisis = alert(bench, patient, nurse, severity="crisis", kind="crisis")
    await bench.hear(raised(patient, crisis))
    await bench.settle()
    assert await bench.phone_of(nurse) == []
    said = [(kind, details) for kind, details, _ in await notices(bench) if kind.startswith("text-")]
    assert said == [("text-withheld-switched-off", {"kind": "alert", "severity": "crisis", "alert": str(crisis.alert_id)})]


async def test_a_clinics_switch_is_no_other_clinics(bench: Bench, http: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    await turn(other, OFF)
    assert (await http.get("/switch")).json()["sending"] == "on"
    assert await gone(bench) is None


async def test_every_clinics_switch_is_the_first_keys_alone(
    bench: Bench, http: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    refused = await turn(other, OFF | {"scope": "all"}, 403)
    assert (refused["element"], refused["accepted"]) == ("scope", "clinic, or the installation's first key")
    assert await gone(bench) is None
    await turn(http, OFF | {"scope": "all"})
    assert (await other.get("/switch")).json() | {"since": ""} == {
        "sending": "off", "everything": False, "clinic": "on", "all": "off", "since": "",
    }  # fmt: skip
    assert await gone(bench) == "switched-off"


async def test_the_stronger_of_two_switches_holds(bench: Bench, http: httpx.AsyncClient) -> None:
    await turn(http, OFF | {"scope": "all"})
    await turn(http, OFF | {"everything": True})
    assert (await http.get("/switch")).json()["everything"] is True
    shown = await turn(http, ON)
    assert (shown["sending"], shown["everything"], shown["all"]) == ("off", False, "off"), (
        "everybody's is still off, and it says so"
    )
    assert await gone(bench) == "switched-off"
    assert (await turn(http, ON | {"scope": "all"}))["sending"] == "on"
    assert await gone(bench) is None


async def test_it_shows_at_readyz_and_in_the_metrics_and_makes_nothing_unready(bench: Bench, http: httpx.AsyncClient) -> None:
    root = str(http.base_url).removesuffix("/notifier/")

    async def check() -> dict[str, Any]:
        found: dict[str, Any] = (await http.get(f"{root}/readyz")).json()["checks"]["switch"]
        return found

    async def gauges() -> set[str]:
        lines = (await http.get(f"{root}/metrics")).text.splitlines()
        return {line for line in lines if line.startswith("steadypath_switched_off{")}

    assert await check() == {"ok": True, "clinics_off": 0, "all_off": False}
    await turn(http, OFF)
    await turn(http, OFF | {"scope": "all"})
    assert await check() == {"ok": True, "clinics_off": 1, "all_off": True}
    assert await gauges() == {'steadypath_switched_off{scope="clinic"} 1.0', 'steadypath_switched_off{scope="all"} 1.0'}
    await turn(http, ON)
    await turn(http, ON | {"scope": "all"})
    assert await check() == {"ok": True, "clinics_off": 0, "all_off": False}
    assert await gauges() == {'steadypath_switched_off{scope="clinic"} 0.0', 'steadypath_switched_off{scope="all"} 0.0'}


async def remind(bench: Bench) -> int:
    """What the ticker does with the reminders that are due; how many."""
    async with bench.runtime.unit() as unit:
        of = (DUE.c.kind == switch.STILL_OFF) & (DUE.c.due_at <= unit.now)
        due = (await unit.conn.execute(DUE.delete().where(of).returning(DUE))).all()
        items = [WorkItem(row.kind, row.ref, row.key, row.clinic_id, row.due_at, row.data) for row in due]
        await switch.FIRES[switch.STILL_OFF](unit, items)
    return len(items)


async def test_ops_hears_of_each_turn_once_and_daily_while_it_is_off(bench: Bench, http: httpx.AsyncClient) -> None:
    await turn(http, OFF)
    await turn(http, OFF | {"scope": "all"})
    await turn(http, OFF)
    clinic = {"scope": "clinic", "clinic": str(CLINIC), "state": "off"}
    every = {"scope": "all", "state": "off"}
    said = [("switch-turned", clinic, CLINIC), ("switch-turned", every, None)]
    assert sorted(await notices(bench), key=str) == sorted(said, key=str)
    assert await remind(bench) == 0
    for _day in range(2):
        await bench.forward(days=1)
        assert await remind(bench) == 2
    assert [kind for kind, _, _ in await notices(bench)].count("switch-still-off") == 4
    await turn(http, ON)
    await bench.forward(days=1)
    assert await remind(bench) == 1, "everybody's only"
    assert (await notices(bench))[-1] == ("switch-still-off", every, None)


async def test_on_and_off_in_the_same_instant_are_three_notices(bench: Bench, http: httpx.AsyncClient) -> None:
    """Simulated time stands still between them."""
    for wanted in (OFF, ON, OFF):
        await turn(http, wanted)
    assert [details["state"] for _, details, _ in await notices(bench)].count("off") == 2
    shown = (await http.get("/switch")).json()
    assert shown["since"] is not None
    assert timedelta(0) <= bench.now - (await since(bench))


async def since(bench: Bench) -> Any:
    async with bench.runtime.engine.connect() as conn:
        return (await conn.execute(text("select changed_at from notifier.switch"))).scalar_one()


async def test_why_it_was_turned_stands_sealed_in_the_audit_only(bench: Bench, http: httpx.AsyncClient) -> None:
    await turn(http, {"sending": "off", "reason": "Call Zebrafinch first: 10 wrong texts!"})
    async with bench.runtime.unit() as unit:
        row = (await unit.conn.execute(text("select s::text from notifier.switch s"))).scalar_one()
        audit = (await unit.conn.execute(text("select reason, a::text from notifier.audit a where reason is not null"))).all()
    assert "Zebrafinch" not in row
    assert len(audit) == 1
    assert "Zebrafinch" not in audit[0][1]
    assert b"Zebrafinch" not in audit[0][0]


@pytest.mark.parametrize(
    "body", [{"sending": "off"}, {"sending": "off", "reason": " "}, {"sending": "maybe", "reason": "because"}]
)
async def test_what_is_not_said_clearly_turns_nothing(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    await turn(http, body, 422)
    assert (await http.get("/switch")).json()["sending"] == "on"
