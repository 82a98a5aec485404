"""Many commands of one kind in one request: one transaction, an answer for each item, and one bad item harms no other.

The whole chunk is written set-based. Where the database refuses that, everything is taken back to a savepoint and the items are
written one by one, each behind a savepoint of its own, so that only the culprit is refused. It stays one transaction: the
Idempotency-Key, the audit row and the effects stand or fall together, and a repeat gets the answer of the first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from shared.accepted import accepted_of, element_of
from shared.errors import DomainError, Transient
from shared.http.commands import current
from shared.logs import log
from shared.messaging.failures import Policy, policy_of
from shared.messaging.unit import Unit

if TYPE_CHECKING:
    from shared.runtime import Runtime

#: Items of a request: what one transaction writes well within its time limit.
MOST = 500

Outcome = Literal["created", "started", "changed", "unchanged", "valid", "refused"]
B = TypeVar("B", bound=BaseModel)
T = TypeVar("T")
Done = TypeVar("Done")
#: Writes items, and answers for each in their order. The locks of all have been taken.
Write: TypeAlias = Callable[[Sequence[T]], Awaitable[Sequence[Done | DomainError]]]


class ItemResult(BaseModel):
    """What became of one item; `id` is the caller's own. A refused item has changed nothing."""

    id: str
    outcome: Outcome
    #: The field in the caller's terms, why, and what would be taken instead; never the value.
    element: str | None = None
    reason: str | None = None
    accepted: str | None = None


def result(external: str, done: Outcome | DomainError) -> ItemResult:
    """The answer for one item; `external` is how the caller named it."""
    if not isinstance(done, DomainError):
        return ItemResult(id=external, outcome=done)
    return ItemResult(id=external, **refused(done))


def refused(refusal: DomainError) -> dict[str, Any]:
    """The fields of an ItemResult that was refused."""
    return {"outcome": "refused", "element": refusal.element, "reason": refusal.reason, "accepted": refusal.accepted}


def read(model: type[B], raw: object) -> B:
    """One item's body. Raises DomainError (422) with the first fault, as the single command would answer it."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        element = element_of(first["loc"])
        raise DomainError(element, f"{element} is not accepted.", accepted=accepted_of(first)) from None


@dataclass
class Once:
    """Refuses the second of two items that mean the same row: in one request they have no order."""

    seen: set[UUID] = field(default_factory=set)

    def check(self, one: UUID) -> None:
        if one in self.seen:
            raise DomainError("id", "This id stands in the request twice.", accepted="each id once in a request")
        self.seen.add(one)


@asynccontextmanager
async def reading(runtime: Runtime) -> AsyncIterator[Unit]:
    """A unit to validate in: what it is told is never written, and no key is claimed."""
    async with runtime.engine.connect() as conn:
        yield Unit(conn, now=runtime.clock.now(), service=runtime.settings.service, cipher=runtime.cipher)


@asynccontextmanager
async def part(unit: Unit) -> AsyncIterator[None]:
    """A part of the transaction that can be taken back alone, with what it said and planned."""
    buffers = unit.buffers
    events, on_commit = len(buffers.events), len(buffers.on_commit)
    work, wakes = dict(buffers.work), set(buffers.wakes)
    later = {write: list(items) for write, items in buffers.later.items()}
    try:
        async with unit.conn.begin_nested():
            yield
    except BaseException:
        del buffers.events[events:]
        del buffers.on_commit[on_commit:]
        buffers.work, buffers.wakes, buffers.later = work, wakes, later
        raise


async def write_good(unit: Unit, items: Sequence[T | DomainError], write: Write[T, Done]) -> list[Done | DomainError]:
    """Writes what could be read; what could not keeps its place among the answers."""
    written = iter(await _together_or_each(unit, good(items), write))
    return [one if isinstance(one, DomainError) else next(written) for one in items]


def good(items: Sequence[T | DomainError]) -> list[T]:
    return [one for one in items if not isinstance(one, DomainError)]


async def _together_or_each(unit: Unit, items: Sequence[T], write: Write[T, Done]) -> list[Done | DomainError]:
    """All items at once or, where that fails, one by one. A database that is away or busy fails the whole request."""
    if not items:
        return []
    try:
        async with part(unit):
            return list(await write(items))
    except Exception as error:  # whatever it was, one item or the database has it: the next lines find out which
        if _is_everybodys(error):
            raise
        log.failure("a chunk could not be written at once, going one by one", error, level="warning", rows=len(items))
    return [await _alone(unit, one, write) for one in items]


async def _alone(unit: Unit, one: T, write: Write[T, Done]) -> Done | DomainError:
    try:
        async with part(unit):
            return (await write([one]))[0]
    except DomainError as refusal:
        return refusal
    except Exception as error:  # a bug or a row that cannot be: this item alone is refused, the log has the class
        if _is_everybodys(error):
            raise
        log.failure("an item of a chunk could not be written", error)
        return DomainError("id", "Something is wrong on our side; it has been logged.", status=500)


#: SQLSTATEs of a transaction that has ended: deadlock, time limit, lock not available.
_ENDED = ("40", "25P", "55P")


def _is_everybodys(error: Exception) -> bool:
    """Whether no item can be written now: the database is away or busy, or the transaction is over."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return policy_of(error) is Policy.WAIT or isinstance(error, Transient) or str(state).startswith(_ENDED)


def audited(kind: str, ids: Sequence[UUID]) -> None:
    """Whom this command was about, for its audit row: our ids, in order."""
    command = current()
    if command is not None:
        command.objects = {f"{kind}s": " ".join(map(str, ids))}
