"""The parked desk over HTTP: what could not be handled, and a person's decision to try it again or to let it go. Roles: ops.

Shows no body, no header, no key: type, place in Kafka, class of the failure.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.due import ParkedWork, discard_work, parked_work, replay_work
from shared.http.security import requires
from shared.identity import Caller
from shared.messaging.desk import Desk, ParkedEvent
from shared.messaging.handling import Handling

if TYPE_CHECKING:
    from shared.runtime import Runtime

Ops = Annotated[Caller, Depends(requires("ops"))]


class Parked(BaseModel):
    """One line of the desk. `parked`: the head of its key, to be decided on; `behind`: waits for the head."""

    event_id: UUID
    what: Literal["event", "due-work"]
    type: str | None
    state: str
    error: str | None
    attempts: int
    #: When it was parked (event) or due (due work); clinical time, UTC.
    at: datetime
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


class ParkedWhole(Parked):
    """One of them, and its place: `behind` events wait for it; `head` is the one that it waits for itself, where it does."""

    behind: int = 0
    head: UUID | None = None


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    reason: Annotated[str, StringConstraints(min_length=3, max_length=500, strip_whitespace=True)]


class Decided(BaseModel):
    """`handled`: how many events of the key have had their effect now, this one included; a failing one is the new head (`next`).
    `scheduled`: due work that is due again now; if it fails once more it is back here."""

    event_id: UUID
    outcome: Literal["replayed", "scheduled", "discarded", "failed-again"]
    handled: int
    next: UUID | None = None


def router(runtime: Runtime, handling: Handling) -> APIRouter:
    """`/parked` of one service."""
    routes = APIRouter(tags=["parked"])
    table = _Table(runtime, handling)

    @routes.get("/parked")
    async def list_parked(caller: Ops) -> list[Parked]:
        return await table.waiting(caller)

    @routes.get("/parked/{event_id}")
    async def show_parked(event_id: UUID, caller: Ops) -> ParkedWhole:
        return await table.one(caller, event_id)

    @routes.post("/parked/{event_id}/replay")
    async def replay_parked(event_id: UUID, body: Decision, caller: Ops) -> Decided:
        return await table.replay(caller, event_id, body.reason)

    @routes.post("/parked/{event_id}/discard")
    async def discard_parked(event_id: UUID, body: Decision, caller: Ops) -> Decided:
        return await table.discard(caller, event_id, body.reason)

    return routes


class _Table:
    """Events and due work behind the same three routes."""

    def __init__(self, runtime: Runtime, handling: Handling) -> None:
        self._runtime = runtime
        self._service = handling.service
        self._desk = Desk(handling)

    async def waiting(self, caller: Caller) -> list[Parked]:
        async with self._runtime.engine.connect() as conn:
            work = await parked_work(conn, self._service, caller.clinic_id)
        events = await self._desk.open(caller.clinic_id)
        return [Parked(**_of_event(each)) for each in events] + [Parked(**_of_work(each)) for each in work]

    async def one(self, caller: Caller, event_id: UUID) -> ParkedWhole:
        async with self._runtime.engine.connect() as conn:
            work = await parked_work(conn, self._service, caller.clinic_id)
        for each in work:
            if each.work_id == event_id:
                return ParkedWhole(**_of_work(each), behind=await self._desk.count_of(each.key))
        event = await self._desk.one(event_id, caller.clinic_id)
        if event.state == "parked":
            return ParkedWhole(**_of_event(event), behind=await self._desk.count_of(event.key) - 1)
        return ParkedWhole(**_of_event(event), head=await self._desk.head_of(event.key))

    async def replay(self, caller: Caller, event_id: UUID, reason: str) -> Decided:
        if await self._is_work(caller, event_id):
            async with self._runtime.unit() as unit:
                await replay_work(unit, event_id)
            return Decided(event_id=event_id, outcome="scheduled", handled=0)
        key = await self._desk.key_of(event_id, caller.clinic_id)
        handled = await self._desk.replay(event_id, author=caller.name, reason=reason, clinic_id=caller.clinic_id)
        await self._audit()
        outcome: Literal["replayed", "failed-again"] = "replayed" if handled else "failed-again"
        return Decided(event_id=event_id, outcome=outcome, handled=handled, next=await self._desk.head_of(key))

    async def discard(self, caller: Caller, event_id: UUID, reason: str) -> Decided:
        if await self._is_work(caller, event_id):
            async with self._runtime.unit() as unit:
                await discard_work(unit, event_id)
            return Decided(event_id=event_id, outcome="discarded", handled=0)
        key = await self._desk.key_of(event_id, caller.clinic_id)
        handled = await self._desk.discard(event_id, author=caller.name, reason=reason, clinic_id=caller.clinic_id)
        await self._audit()
        return Decided(event_id=event_id, outcome="discarded", handled=handled, next=await self._desk.head_of(key))

    async def _is_work(self, caller: Caller, event_id: UUID) -> bool:
        """Whether the id is of due work, of this clinic. Another clinic's is as good as none."""
        async with self._runtime.engine.connect() as conn:
            return any(each.work_id == event_id for each in await parked_work(conn, self._service, caller.clinic_id))

    async def _audit(self) -> None:
        """The desk's transactions are one an event; who decided stands in each row, and once more in the audit."""
        async with self._runtime.unit():
            return


def _of_event(event: ParkedEvent) -> dict[str, Any]:
    names = ("event_id", "type", "state", "error", "attempts", "topic", "partition", "offset")
    return {name: getattr(event, name) for name in names} | {"what": "event", "at": event.parked_at}


def _of_work(work: ParkedWork) -> dict[str, Any]:
    fields = {"event_id": work.work_id, "what": "due-work", "type": work.kind, "state": "parked"}
    return fields | {"error": work.error, "attempts": work.attempts, "at": work.due_at}
