"""What a step asks of whom: Kafka rests after it, and passes that look for what no row tells are run once in a clinical day."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from shared import simulation
from shared.loops import Loops
from shared.messaging.lag import Behind
from shared.simulation import Expected, Stepper
from tests.integration.shared.conftest import House


class Kafka:
    """A consumer that writes down what it was told, in the order of telling."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.wakes = asyncio.Event()

    def connected(self) -> bool:
        return True

    def assigned(self) -> int:
        return 1

    def in_flight(self) -> int:
        return 0

    def stuck_for(self) -> float:
        return 0.0

    def positions(self) -> dict[str, int]:
        return {}

    def behind(self) -> Mapping[str, Behind]:
        return {}

    async def reach(self, published: Mapping[str, int], within: float) -> None:
        self.told.append(dict(published))

    def rest(self, resting: bool) -> None:
        self.told.append(resting)
        if not resting:
            self.wakes.set()


class Looking:
    """A pass that finds nothing, and says how often it looked."""

    name = "looking"

    def __init__(self, *, roams: bool) -> None:
        self.roams = roams
        self.looks = 0

    async def run(self, now: datetime) -> int:
        self.looks += 1
        return 0

    async def next_due(self) -> datetime | None:
        return None

    def in_flight(self) -> int:
        return 0


def stepper(house: House, kafka: Kafka | None = None, *passes: Looking) -> Stepper:
    loops = Loops(passes, house.runtime.clock, house.runtime.metrics, simulated=True)
    return Stepper(house.runtime, loops, kafka, handled=lambda: 0)


async def test_kafka_rests_after_a_step_and_wakes_when_the_driver_has_gone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_NEXT_STEP", 0.2)
    kafka = Kafka()
    stepping = stepper(house, kafka)
    for last in range(3):
        await stepping.step(Expected(published={"due.v1:0": last}))
    assert kafka.told == [{"due.v1:0": 0}, True, {"due.v1:0": 1}, True, {"due.v1:0": 2}, True]
    await asyncio.wait_for(kafka.wakes.wait(), 20)
    assert kafka.told[-1] is False


async def test_what_no_row_tells_is_looked_for_once_in_a_clinical_day(house: House) -> None:
    roaming, bound = Looking(roams=True), Looking(roams=False)
    stepping = stepper(house, None, roaming, bound)
    await stepping.step(Expected())
    first = roaming.looks
    house.clock.set(house.clock.now() + timedelta(hours=23, minutes=59))
    await stepping.step(Expected())
    assert (roaming.looks, bound.looks) == (first, first)
    house.clock.set(house.clock.now() + timedelta(minutes=1))
    await stepping.step(Expected())
    await stepping.step(Expected())
    assert (roaming.looks, bound.looks) == (first + 1, first)


async def test_at_the_end_of_an_advance_every_pass_looks(house: House) -> None:
    bound = Looking(roams=False)
    stepping = stepper(house, None, bound)
    await stepping.step(Expected())
    looks = bound.looks
    await stepping.step(Expected(all=True))
    assert bound.looks > looks
