"""Alerts at the gate: codes and no names, hours, acknowledgement, escalation, digests."""

from __future__ import annotations

from uuid import uuid4

from services.notifier.storage import wishes
from shared.events.adherence import (
    AlertAcknowledgedV1,
    AlertEscalatedV1,
)
from tests.integration.notifier.bench import CLINIC, Bench, Someone
from tests.integration.notifier.texts_out import NIGHT, OPENING, advance, alert, raised


async def test_an_alert_is_texted_with_its_code_and_no_name(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    await advance(bench, OPENING)
    await bench.hear(raised(patient, alert(bench, patient, nurse)))
    await bench.settle()
    [text] = await bench.phone_of(nurse)
    assert text["body"].startswith("Steadypath A7K2, low: missed check-in. Reply with the code to acknowledge. http")
    [sent] = await bench.said("message-sent")
    assert (sent["person_id"], sent["patient_id"], sent["kind"]) == (str(nurse.id), str(patient.id), "alert")


async def test_a_low_alert_waits_for_the_window_and_a_crisis_does_not(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    await advance(bench, NIGHT)
    await bench.hear(raised(patient, alert(bench, patient, nurse)))
    await bench.hear(raised(patient, alert(bench, patient, nurse, code="B8M3", severity="crisis", kind="crisis")))
    await bench.settle()
    assert ["B8M3" in text["body"] for text in await bench.phone_of(nurse)] == [True]
    await advance(bench, OPENING)
    assert len(await bench.phone_of(nurse)) == 2


async def test_an_acknowledged_alert_is_not_paged_any_more(bench: Bench) -> None:
    patient, nurse = await bench.patient(), await bench.staff()
    await advance(bench, NIGHT)
    snapshot = alert(bench, patient, nurse)
    await bench.hear(raised(patient, snapshot))
    over = snapshot.model_copy(update={"state": "acknowledged"})
    taken = AlertAcknowledgedV1(clinic_id=CLINIC, patient_id=patient.id, alert_version=2, alert=over, by=None, how="board")
    await bench.hear(taken)
    escalated = AlertEscalatedV1(clinic_id=CLINIC, patient_id=patient.id, alert_version=1, alert=snapshot, why="deadline")
    await bench.hear(escalated)
    await advance(bench, OPENING)
    assert await bench.phone_of(nurse) == []
    assert [each["why"] for each in await bench.said("message-withheld")] == ["withdrawn"]


async def test_an_alert_that_cannot_go_is_withheld_so_that_it_escalates(bench: Bench) -> None:
    patient, gone = await bench.patient(), Someone(uuid4(), "+12125550000")
    nurse = await bench.staff()
    async with bench.runtime.unit() as unit:
        await unit.lock(nurse.id)
        await wishes.opt_out(unit, nurse.id, "staff")
    await bench.hear(raised(patient, alert(bench, patient, gone, severity="high")))
    await bench.hear(raised(patient, alert(bench, patient, nurse, severity="high")))
    await bench.settle()
    said = await bench.said("message-withheld")
    assert sorted(each["why"] for each in said) == ["no-contact", "opted-out"]
    assert {each["person_id"] for each in said} == {str(gone.id), str(nurse.id)}


async def test_low_alerts_over_the_hours_cap_go_as_one_digest_that_speaks_for_each(bench: Bench) -> None:
    nurse = await bench.staff()
    await advance(bench, OPENING)
    patients = [await bench.patient() for _ in range(14)]
    snapshots = [alert(bench, patient, nurse, code=f"C{n // 10}K{n % 10}") for n, patient in enumerate(patients, 10)]
    for patient, snapshot in zip(patients, snapshots, strict=True):
        await bench.hear(raised(patient, snapshot))
    await bench.settle()
    assert len(await bench.phone_of(nurse)) == 10
    await bench.forward(minutes=61)
    texts = await bench.phone_of(nurse)
    assert len(texts) == 11
    assert texts[-1]["body"].startswith("Steadypath: 4 open alerts, low.")
    sent = {each["alert_id"] for each in await bench.said("message-sent")}
    assert sent == {str(each.alert_id) for each in snapshots}
