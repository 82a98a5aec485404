"""The one welcome: kept back by the gate it goes once the reason is gone, and never twice (decision 0133)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from services.notifier import enrolment, newcomers, switch
from services.notifier.http.bodies import Consent, PatientBody
from services.notifier.storage import contact_rows, wishes
from shared.http import Caller
from shared.messaging.unit import Unit
from tests.integration.notifier.bench import CLINIC, Bench, Someone

pytestmark = pytest.mark.anyio
CONSENT = Consent(given_on="2026-11-20", how="signed form", to_whom="N")
OPS = Caller(clinic_id=CLINIC, key_id=uuid4(), roles=frozenset({"ops"}), name="ops")
Change = Callable[[Unit, Someone], Awaitable[object]]


async def pause(unit: Unit, who: Someone) -> object:
    return await wishes.pause(unit, who.id, "by-staff", None)


async def resume(unit: Unit, who: Someone) -> object:
    return await wishes.resume(unit, who.id)


async def crisis(unit: Unit, who: Someone) -> object:
    return await wishes.pause(unit, who.id, "crisis", None)


async def resume_after_crisis(unit: Unit, who: Someone) -> object:
    return await wishes.resume(unit, who.id, of_crisis=True)


async def consent_ended(unit: Unit, who: Someone) -> object:
    return await enrolment.put_patient(unit, CLINIC, who.id, PatientBody(name="N", consent=None))


async def consent_given(unit: Unit, who: Someone) -> object:
    return await enrolment.put_patient(unit, CLINIC, who.id, PatientBody(name="N", consent=CONSENT))


async def opt_out(unit: Unit, who: Someone) -> object:
    return await wishes.opt_out(unit, who.id, "staff")


async def opt_in(unit: Unit, who: Someone) -> object:
    return await wishes.opt_in(unit, who.id, "staff")


async def suspend(unit: Unit, who: Someone) -> object:
    return await contact_rows.change(unit, who.id, suspended=True)


async def reinstate(unit: Unit, who: Someone) -> object:
    return await enrolment.reinstate(unit, await contact_rows.needed(unit, who.id))


async def switch_off(unit: Unit, who: Someone) -> object:
    return await switch.turn(unit, OPS, CLINIC, "off")


async def switch_on(unit: Unit, who: Someone) -> object:
    return await switch.turn(unit, OPS, CLINIC, "on")


async def does(bench: Bench, change: Change, who: Someone) -> None:
    async with bench.runtime.unit() as unit:
        await unit.lock(who.id)
        await change(unit, who)
    await bench.settle()


async def enrolled(bench: Bench) -> Someone:
    """On file, with a plan, the welcome queued and not yet at the gate; in the patient's window."""
    await bench.forward(hours=4)
    who = await bench.patient(plan=False)
    await bench.plan(who)
    async with bench.runtime.unit() as unit:
        await newcomers.welcome(unit, {uuid4(): await contact_rows.needed(unit, who.id)})
    return who


async def welcome(bench: Bench, who: Someone) -> tuple[str, str | None]:
    text = await bench.message(f"welcome/{who.id}")
    return text.state, text.why


@pytest.mark.parametrize(
    ("before", "why", "after"),
    [
        (pause, "texts-paused", resume),
        (crisis, "texts-paused", resume_after_crisis),
        (consent_ended, "no-consent", consent_given),
        (opt_out, "opted-out", opt_in),
        (suspend, "no-contact", reinstate),
        (switch_off, "switched-off", switch_on),
    ],
)
async def test_it_goes_once_the_reason_is_gone(bench: Bench, before: Change, why: str, after: Change) -> None:
    who = await enrolled(bench)
    await does(bench, before, who)
    assert await welcome(bench, who) == ("withheld", why)
    await does(bench, after, who)
    (text,) = await bench.phone_of(who)
    assert "HELP" in text["body"]
    # What has gone never goes again, whatever happens.
    await does(bench, before, who)
    await does(bench, after, who)
    assert len(await bench.phone_of(who)) == 1


async def test_another_reason_still_keeps_it_back(bench: Bench) -> None:
    who = await enrolled(bench)
    async with bench.runtime.unit() as unit:
        await wishes.opt_out(unit, who.id, "staff")
    await does(bench, pause, who)
    await does(bench, resume, who)
    assert await welcome(bench, who) == ("withheld", "opted-out")
    assert len(await bench.said("message-withheld")) == 1
    await does(bench, opt_in, who)
    assert len(await bench.phone_of(who)) == 1


async def test_it_goes_when_a_plan_says_at_last_where_the_patient_lives(bench: Bench) -> None:
    who = await bench.patient(plan=False)
    async with bench.runtime.unit() as unit:
        await newcomers.welcome(unit, {uuid4(): await contact_rows.needed(unit, who.id)})
    await bench.settle()
    await bench.forward(days=14, hours=4)
    assert (await welcome(bench, who))[0] == "expired"
    await bench.plan(who)
    await bench.settle()
    assert len(await bench.phone_of(who)) == 1


async def test_after_a_pause_at_night_it_waits_for_the_morning(bench: Bench) -> None:
    who = await enrolled(bench)
    await does(bench, pause, who)
    await bench.forward(hours=10)
    await does(bench, resume, who)
    text = await bench.message(f"welcome/{who.id}")
    assert (text.state, text.waits_for) == ("queued", "window")
    assert text.not_before - bench.now < timedelta(hours=12)
