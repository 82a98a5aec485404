"""What arrives while a transaction is under way goes together into the next; one that fails never fails another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from services.notifier import together
from services.notifier.together import Together


class Carrier:
    """Carries numbers: a group stands still until it is let go, and one with a negative number in it fails."""

    def __init__(self, *, at_most: int = 10, expected: Callable[[], int] | None = None, turn: asyncio.Lock | None = None) -> None:
        self.groups: list[list[int]] = []
        self.open = asyncio.Event()
        self.together = Together(self.carry, at_most=at_most, expected=expected, turn=turn)

    async def carry(self, items: Sequence[int], *, alone: bool) -> list[int]:
        self.groups.append(list(items))
        await self.open.wait()
        if any(item < 0 for item in items):
            raise ValueError("a negative number")
        return [item * 10 for item in items]

    def begin(self, *items: int) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self._ask(item)) for item in items]

    async def _ask(self, item: int) -> int:
        return await self.together(item)

    async def begun(self, groups: int) -> None:
        async with asyncio.timeout(5):
            while len(self.groups) < groups:  # noqa: ASYNC110 - a turn of the loop, not a pause
                await asyncio.sleep(0)


async def test_who_comes_while_a_group_is_under_way_goes_with_the_next() -> None:
    carrier = Carrier()
    first = carrier.begin(1)
    await carrier.begun(1)
    others = carrier.begin(2, 3, 4)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(task.done() for task in (*first, *others)), "nobody is told before it stands"
    carrier.open.set()
    assert await asyncio.gather(*first, *others) == [10, 20, 30, 40]
    assert carrier.groups == [[1], [2, 3, 4]]


async def test_nobody_waits_for_company_and_what_comes_at_once_goes_at_once() -> None:
    carrier = Carrier()
    carrier.open.set()
    assert await carrier.together(1) == 10
    assert await asyncio.gather(*carrier.begin(2, 3)) == [20, 30]
    assert carrier.groups == [[1], [2, 3]]


async def test_after_a_group_with_company_the_next_is_awaited_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_COMPANY", 0.05)
    carrier = Carrier()
    carrier.open.set()
    await asyncio.gather(*carrier.begin(1, 2))
    third = carrier.begin(3)
    for _ in range(20):
        await asyncio.sleep(0)
    assert carrier.groups == [[1, 2]]
    assert await asyncio.gather(*third, *carrier.begin(4, 5)) == [30, 40, 50]
    assert await carrier.together(6) == 60
    assert carrier.groups == [[1, 2], [3, 4, 5], [6]]
    monkeypatch.setattr(together, "_COMPANY", 3600.0)
    assert await carrier.together(7) == 70, "one that came alone makes nobody wait"


async def test_once_as_many_have_come_as_before_nobody_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_COMPANY", 3600.0)
    carrier = Carrier()
    carrier.open.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*carrier.begin(1, 2, 3))
        first = carrier.begin(4, 5)
        await asyncio.sleep(0.01)
        assert carrier.groups == [[1, 2, 3]]
        assert await asyncio.gather(*first, *carrier.begin(6)) == [40, 50, 60]
    assert carrier.groups == [[1, 2, 3], [4, 5, 6]]


async def test_what_is_on_its_way_is_awaited_a_moment_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_ON_THEIR_WAY", 3600.0)
    carrier = Carrier(expected=lambda: 3)
    carrier.open.set()
    first = carrier.begin(1, 2)
    await asyncio.sleep(0.01)
    assert carrier.groups == []
    assert await asyncio.gather(*first, *carrier.begin(3)) == [10, 20, 30]
    monkeypatch.setattr(together, "_ON_THEIR_WAY", 0.01)
    assert await carrier.together(4) == 40, "the others do not come"
    assert carrier.groups == [[1, 2, 3], [4]]


async def test_a_group_is_no_larger_than_it_may_be() -> None:
    carrier = Carrier(at_most=2)
    carrier.open.set()
    assert await asyncio.gather(*carrier.begin(1, 2, 3, 4, 5)) == [10, 20, 30, 40, 50]
    assert carrier.groups == [[1, 2], [3, 4], [5]]


async def test_one_that_fails_does_not_fail_the_others() -> None:
    carrier = Carrier()
    carrier.open.set()
    found = await asyncio.gather(*carrier.begin(1, -2, 3), return_exceptions=True)
    assert (found[0], found[2]) == (10, 30)
    assert isinstance(found[1], ValueError)
    assert carrier.groups[0] == [1, -2, 3]
    assert sorted(carrier.groups[1:]) == [[-2], [1], [3]]


async def test_one_that_fails_is_tried_by_itself_once() -> None:
    carrier = Carrier()
    carrier.open.set()
    with pytest.raises(ValueError, match="negative"):
        await carrier.together(-1)
    assert carrier.groups == [[-1], [-1]]


async def test_nobody_waits_for_whom_only_one_waits() -> None:
    """Somebody holds one patient's lock: a group does not wait for it, only that patient's own does."""
    tries: list[tuple[list[int], bool]] = []
    held = asyncio.Event()

    async def carry(items: Sequence[int], *, alone: bool) -> list[int]:
        tries.append((list(items), alone))
        if 1 in items:
            if not alone:
                raise TimeoutError
            await held.wait()
        return list(items)

    all_together = Together(carry, at_most=10)
    tasks = [asyncio.create_task(_call(all_together, item)) for item in (1, 2, 3)]
    async with asyncio.timeout(5):
        assert await asyncio.gather(*tasks[1:]) == [2, 3]
        assert await all_together(4) == 4, "nor does who comes later"
        assert not tasks[0].done()
        held.set()
        assert await tasks[0] == 1
    assert tries == [([1, 2, 3], False), ([1], True), ([2], True), ([3], True), ([4], False)]


async def _call(all_together: Together[int, int], item: int) -> int:
    return await all_together(item)


async def test_whoever_leads_and_gives_up_leaves_the_others_to_themselves() -> None:
    carrier = Carrier()
    tasks = carrier.begin(1, 2, 3)
    await carrier.begun(1)
    tasks[0].cancel()
    carrier.open.set()
    assert await asyncio.gather(*tasks[1:]) == [20, 30]
    assert tasks[0].cancelled()
    assert carrier.groups[0] == [1, 2, 3]


async def test_whoever_gives_up_before_its_turn_is_not_carried() -> None:
    carrier = Carrier()
    first = carrier.begin(1)
    await carrier.begun(1)
    gone, stays = carrier.begin(2, 3)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    carrier.open.set()
    assert await asyncio.gather(*first, stays) == [10, 30]
    assert carrier.groups == [[1], [3]]


async def test_kinds_that_share_a_turn_go_one_after_the_other_and_in_turn() -> None:
    """However many of one kind wait, the other kind's next group is the next but one."""
    turn = asyncio.Lock()
    answers, callbacks = Carrier(turn=turn), Carrier(at_most=2, turn=turn)
    callbacks.groups = answers.groups
    first = answers.begin(1)
    await answers.begun(1)
    many = callbacks.begin(2, 3, 4, 5)
    for _ in range(20):
        await asyncio.sleep(0)
    later = answers.begin(6)
    assert answers.groups == [[1]], "it is the answers' turn"
    answers.open.set()
    callbacks.open.set()
    assert await asyncio.gather(*first, *many, *later) == [10, 20, 30, 40, 50, 60]
    assert answers.groups == [[1], [2, 3], [6], [4, 5]]


async def test_a_group_that_never_ends_is_given_up_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is dead: nobody answers on it any more."""
    monkeypatch.setattr(together, "_AT_LONGEST", 0.02)
    dead = asyncio.Event()

    async def carry(items: Sequence[int], *, alone: bool) -> list[int]:
        if not alone and 1 in items:
            await dead.wait()
        return [item * 10 for item in items]

    all_together = Together(carry, at_most=10)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(_call(all_together, item) for item in (1, 2))) == [10, 20]
        assert await all_together(3) == 30
