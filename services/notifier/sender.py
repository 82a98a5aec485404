"""The pass "sender": gate, commit, then send. The order of these three is the promise of DESIGN.md rules 1 and 2.

A text is put down as `attempting` and committed before its request begins; whatever then happens to this process, that row says
that it may have left. A process that dies leaves rows whose lease runs out: they are in doubt, and never sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID, uuid4

from services.notifier import channel, fate
from services.notifier.domain.outcome import Outcome, retry_in
from services.notifier.domain.templates import Templates
from services.notifier.lastgate import Gate
from services.notifier.storage import attempts, lock_keys, messages, turns
from services.notifier.storage.attempts import Letter
from services.notifier.storage.fates import Told
from services.notifier.together import Together, patience, turn_of
from services.notifier.twilio_client import Provider
from shared import tracing
from shared.defaults import default
from shared.messaging.unit import Unit
from shared.runtime import Runtime

_CONNECTIONS: int = default("notifier", "connections")
_GROUP: int = default("notifier", "group_at_most")
_FAILURES: int = default("notifier", "channel_failures")
_FIRST: timedelta = default("notifier", "retry_first")
_AT_MOST: timedelta = default("notifier", "retry_at_most")
#: How often (machine seconds) dead owners' attempts are looked for.
_ORPHANS_EVERY = 1.0


class Sender:
    """One per process. Several processes share the queue: the locks and the epochs let one of them have each text."""

    name = "sender"

    def __init__(self, runtime: Runtime, provider: Provider, templates: Templates) -> None:
        self._runtime = runtime
        self._provider = provider
        self._gate = Gate(templates, f"{runtime.settings.public_base_url}/board", uuid4())
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        #: Attempts that another process began and has not ended: alive, or dead and waiting for its lease to run out.
        self._others = 0
        self._looked_for_orphans = 0.0
        self._unreached = 0
        #: More may be due than the last look took: there was no room, or the channel lets one through at a time.
        self._more = False
        self._answers = Together(self._accepted, at_most=_CONNECTIONS, expected=lambda: len(self._tasks), turn=turn_of(runtime))

    def in_flight(self) -> int:
        return len(self._tasks) + self._others

    async def next_due(self) -> datetime | None:
        """The next text's turn; while the channel is down, its next try or the end of a text's usefulness."""
        async with self._runtime.reading() as unit:
            queued, useless, probe = await turns.next_due(unit)
        if probe is None or queued is None or useless is None:
            return queued
        return min(max(queued, probe), useless)

    async def run(self, now: datetime) -> int:
        """One group through the gate, its letters on their way. Returns how many texts were decided."""
        settled = await self._settle_orphans()
        room = min(_CONNECTIONS - len(self._tasks), _GROUP)
        if room <= 0:
            self._more = True
            return settled
        decided, letters = 0, list[Letter]()
        async with self._runtime.unit() as unit:
            decided, letters = await self._through_gate(unit, room)
        committed_at = monotonic()
        for letter in letters:
            self._start(letter, committed_at)
        return settled + decided

    async def _through_gate(self, unit: Unit, room: int) -> tuple[int, list[Letter]]:
        """Locks everybody first, in one order; only what is read after that is believed."""
        due, probe = await turns.due(unit, room)
        open_now, limit = self._channel(unit.now, probe if due else await channel.probe_at(unit), room)
        due = due[:limit] if open_now else await turns.useless(unit, room)
        self._more = not open_now or len(due) == limit
        if not due:
            return 0, []
        await unit.lock(*{key for text in due for key in text.lock_keys})
        texts = await turns.again(unit, due, channel_open=open_now)
        return len(texts), await self._gate.pass_group(unit, texts)

    def _channel(self, now: datetime, probe: datetime | None, room: int) -> tuple[bool, int]:
        """Whether texts may be consumed, and how many. Half open: one, and only while none is under way."""
        if probe is None:
            return True, room
        return now >= probe and not self._tasks, 1

    def _start(self, letter: Letter, committed_at: float) -> None:
        task = asyncio.create_task(self._deliver(letter, committed_at), name=f"letter {letter.attempt_id}")
        self._tasks[letter.attempt_id] = task
        task.add_done_callback(lambda _: self._done(letter.attempt_id))

    def _done(self, attempt_id: UUID) -> None:
        self._tasks.pop(attempt_id, None)
        self._answers.look_again()
        if self._more or self._others:
            self._runtime.wake(self.name)
        else:
            self._runtime.changed()

    async def _deliver(self, letter: Letter, committed_at: float) -> None:
        """The request and the record of what it came to. A record that fails leaves the row to its lease: doubt, not silence."""
        with tracing.sending(letter.kind, letter.correlation_id, letter.cause_id) as span:
            outcome = await self._provider.send(letter, committed_at=committed_at)
            span.set(outcome=outcome.kind)
        try:
            await self._learn(letter, outcome)
        except Exception as error:  # a database that is down must not end the sender; the lease decides
            self._runtime.log.failure("outcome not recorded", error, name=self.name)

    async def _learn(self, letter: Letter, outcome: Outcome) -> None:
        if outcome.kind == "accepted" and outcome.sid is not None:
            await self._answers((letter, Told(letter.attempt_id, outcome.sid, outcome.status, "answer")))
            return
        async with self._runtime.unit() as unit:
            await unit.lock(*letter.lock_keys)
            await self._record(unit, letter, outcome)

    async def _accepted(self, items: Sequence[tuple[Letter, Told]], *, alone: bool) -> Sequence[None]:
        """The provider has taken these, and so all is well. Several that come at a time are one transaction."""
        async with self._runtime.unit() as unit:
            await unit.lock(*{key for letter, _ in items for key in letter.lock_keys}, within=patience(alone=alone))
            known = await fate.heed(unit, *(told for _, told in items))
            if known.incident:
                await channel.works(unit)
        self._unreached = 0
        return [None] * len(items)

    async def _record(self, unit: Unit, letter: Letter, outcome: Outcome) -> None:
        """What each outcome but acceptance proves (reliability.md 2.2), and nothing beyond it."""
        if outcome.kind == "rejected":
            await fate.refused(unit, letter.attempt_id, outcome.code)
        elif outcome.kind == "not-begun":
            await fate.nothing_left(unit, letter.attempt_id, "not-begun", unit.now)
        elif outcome.kind in {"not-sent", "channel"}:
            await self._not_sent(unit, letter, outcome)
        else:
            await fate.in_doubt(unit, letter.attempt_id)
        await self._channel_says(unit, letter, outcome)

    async def _not_sent(self, unit: Unit, letter: Letter, outcome: Outcome) -> None:
        """Provably nothing left: the text waits, doubling; with the account refused it waits for the channel instead."""
        tries = await messages.tries(unit, letter.message_id)
        later = unit.now + retry_in(tries, outcome, _FIRST, _AT_MOST, spread=letter.attempt_id.int % 1000 / 1000)
        await fate.nothing_left(unit, letter.attempt_id, "not-sent", unit.now if outcome.kind == "channel" else later)

    async def _channel_says(self, unit: Unit, letter: Letter, outcome: Outcome) -> None:
        """What one outcome says about all: the account refused, nobody reached five times running, or all well."""
        unreached = outcome.kind == "not-sent" and outcome.code is None
        self._unreached = self._unreached + 1 if unreached else 0
        if outcome.kind == "channel":
            await channel.failed(unit, letter.clinic_id, "account-refused", outcome.code)
        elif self._unreached >= _FAILURES:
            await channel.failed(unit, letter.clinic_id, "unreachable")
        elif outcome.kind == "rejected":
            await channel.works(unit)
        else:
            await channel.try_later(unit)

    async def _settle_orphans(self) -> int:
        """Attempts whose owner is gone are in doubt (also our own of an earlier life)."""
        if monotonic() - self._looked_for_orphans < _ORPHANS_EVERY and not self._others:
            return 0
        self._looked_for_orphans = monotonic()
        async with self._runtime.reading() as unit:
            others = {one: died for one, died in (await attempts.open_ids(unit)).items() if one not in self._tasks}
        self._others = len(others)
        orphans = [one for one, died in others.items() if died]
        for orphan in orphans:
            await self._in_doubt(orphan)
        return len(orphans)

    async def _in_doubt(self, attempt_id: UUID) -> None:
        async with self._runtime.unit() as unit:
            await unit.lock(*await lock_keys.of(unit, attempt_id))
            await fate.in_doubt(unit, attempt_id)

    async def close(self) -> None:
        """Lets what has begun end; nothing new begins."""
        tasks: Sequence[asyncio.Task[None]] = list(self._tasks.values())
        await asyncio.gather(*tasks, return_exceptions=True)
