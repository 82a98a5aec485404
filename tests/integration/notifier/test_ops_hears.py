"""What the notifier tells ops, through to a real pager: the channel's incidents, texts in doubt, alerts that reached nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import pytest

from shared.ops import OpsPass
from shared.ops.channels import Webhook
from tests.integration.notifier.bench import START, Bench
from tests.integration.notifier.texts_out import alert, raised
from tests.support.pager import Pager, paging

pytestmark = pytest.mark.anyio


@dataclass
class Ops:
    """The pass at work, and what its pager has got."""

    work: OpsPass
    pager: Pager
    bench: Bench

    async def heard(self) -> list[tuple[str, dict[str, Any]]]:
        """Kind and details of what is new since the last look."""
        before = len(self.pager.got)
        while await self.work.run(self.bench.now):
            continue
        return [(cast("str", said["kind"]), cast("dict[str, Any]", said["details"])) for said in self.pager.got[before:]]


@pytest.fixture
async def ops(bench: Bench) -> AsyncIterator[Ops]:
    with paging() as pager:
        yield Ops(OpsPass(bench.runtime, channels=[Webhook(pager.url)]), pager, bench)


async def test_a_channel_that_goes_down_and_comes_back(bench: Bench, ops: Ops) -> None:
    patients = [await bench.patient() for _ in range(2)]
    await bench.faults({"fault": "reject", "code": 20003, "times": 1})
    await bench.hear(bench.dose(patients[0]))
    await bench.settle()
    assert await ops.heard() == [("channel-down", {"reason": "account-refused", "code": 20003})]
    await bench.forward(minutes=2)
    assert await ops.heard() == [("channel-well", {"reason": "account-refused"})]
    await bench.hear(bench.dose(patients[1]))
    await bench.settle()
    assert await ops.heard() == []


async def test_a_text_that_stays_in_doubt(bench: Bench, ops: Ops) -> None:
    await bench.faults({"fault": "hang", "times": 1})
    patient = await bench.patient()
    await bench.hear(bench.dose(patient))
    await bench.settle()
    assert await ops.heard() == [], "it is still looked for"
    for minutes in (1, 2, 10, 60):
        await bench.forward(minutes=minutes)
    [(kind, details)] = await ops.heard()
    assert kind == "text-unconfirmed"
    assert set(details) == {"reason", "attempt"}
    assert await bench.attempts() == ["given-up"]


async def test_an_alert_that_reaches_nobody(bench: Bench, ops: Ops) -> None:
    patient = await bench.patient()
    await bench.hear(raised(patient, alert(bench, patient, None, severity="high")))
    assert await ops.heard() == [("alert-without-recipient", {"severity": "high", "code": "A7K2"})]


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ({"opted_out": True, "opted_out_at": START}, "text-withheld-opted-out"),
        ({"number_suspect": True, "suspect_why": "does-not-exist"}, "text-withheld-number-suspect"),
        ({"suspended": True}, "text-withheld-no-contact"),
    ],
)
async def test_an_alert_whose_recipient_cannot_be_texted(bench: Bench, ops: Ops, trouble: dict[str, Any], kind: str) -> None:
    patient, nurse = await bench.patient(), await bench.staff(**trouble)
    snapshot = alert(bench, patient, nurse, severity="high")
    await bench.hear(raised(patient, snapshot))
    await bench.settle()
    assert await ops.heard() == [(kind, {"kind": "alert", "severity": "high", "alert": str(snapshot.alert_id)})]
