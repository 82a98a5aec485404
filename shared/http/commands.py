"""What makes a request a command: done once per Idempotency-Key, audited in its own transaction, with author and reason.

The edge puts a `Command` into the context of each POST, PUT, PATCH and DELETE; `requires` fills in the caller; the first
`Runtime.unit()` that commits carries the claim of the key and the audit row. So a command that took effect is on record with its
key, whatever happens to its answer: a repeat gets the stored answer, or, where the process died between commit and answer, is
told that it was done before.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from shared.crypto import FieldCipher
from shared.db import metadata_for
from shared.defaults import default
from shared.errors import SteadypathError
from shared.events.base import stable_id
from shared.house_tables import HouseTables, house_tables
from shared.http.problems import MEDIA_TYPE, Refusal, problem
from shared.identity import Caller

if TYPE_CHECKING:
    from datetime import datetime

    from shared.messaging.unit import Unit

METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEY = re.compile(r"[!-~]{1,255}")
_REASON_LIMIT = 500
#: How long a repeat waits, machine seconds, for the answer of the first that is just being given.
_ANSWER_WAIT = 2.0
_POLL = 0.05


REPLAYED = {"Idempotency-Replayed": "true"}


@dataclass(frozen=True)
class Store:
    """Where a service keeps its keys' claims and answers."""

    service: str
    engine: AsyncEngine
    cipher: FieldCipher


class DoneBefore(SteadypathError):
    """Another request with the same key has committed in the meantime."""


@dataclass
class Command:
    """One request that may change something. `objects` and `reason` may be added to by the service until its unit closes."""

    method: str
    path: str
    query: bytes
    body: bytes
    key: str | None
    reason: str | None
    correlation_id: UUID = field(default_factory=uuid4)
    caller: Caller | None = None
    route: str = ""
    objects: dict[str, str] = field(default_factory=dict)
    claimed: bool = False

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of what the client asked for, so that a key cannot be reused for something else."""
        parts = (self.method.encode(), self.path.encode("utf-8", "surrogateescape"), self.query, self.body)
        return sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()

    @property
    def key_hash(self) -> bytes:
        return sha256((self.key or "").encode()).digest()


_current: ContextVar[Command | None] = ContextVar("steadypath_command", default=None)


def current() -> Command | None:
    """The command of this request; None in a pass, a handler and a read."""
    return _current.get()


@contextmanager
def acting_for(command: Command | None) -> Iterator[None]:
    """Inside the block, units belong to this command; with None, to nobody's: background work started by a request."""
    token = _current.set(command)
    try:
        yield
    finally:
        _current.reset(token)


def tables(service: str) -> HouseTables:
    return house_tables(metadata_for(service))


def reason_of(headers: Mapping[str, str], body: bytes, content_type: str) -> str | None:
    """`X-Reason` (percent-encoded UTF-8) or the field `reason` of a JSON object."""
    header = headers.get("x-reason")
    if header:
        return unquote(header)[:_REASON_LIMIT]
    if not body or not content_type.startswith("application/json"):
        return None
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    reason = parsed.get("reason") if isinstance(parsed, dict) else None
    return reason[:_REASON_LIMIT] if isinstance(reason, str) and reason else None


def key_of(headers: Mapping[str, str]) -> str | None:
    """The Idempotency-Key, checked. Raises Refusal (422)."""
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise Refusal(
            problem(422, "This is no idempotency key.", element="Idempotency-Key", accepted="1 to 255 printable ASCII characters")
        )
    return key


async def admit(command: Command, caller: Caller, route: str, path_params: Mapping[str, Any], store: Store) -> None:
    """Called once the caller is known. Raises Refusal with the answer where this key was used before."""
    command.caller = caller
    command.route = route
    command.objects = {name: _own_id(caller, name, value) for name, value in path_params.items()}
    answer = await answer_before(command, store)
    if answer is not None:
        raise Refusal(answer)


async def answer_before(command: Command, store: Store) -> Response | None:
    """The answer to a repeat, or None where this key is new. Waits a moment for one that is just being given."""
    caller = command.caller
    if caller is None or command.key is None:
        return None
    deadline = asyncio.get_running_loop().time() + _ANSWER_WAIT
    while (row := await _claim(store, caller, command)) is not None:
        if row.fingerprint != command.fingerprint:
            return _reused()
        if row.answer is not None:
            return _replay(row, store.cipher, caller, command)
        if asyncio.get_running_loop().time() > deadline:
            return Response('{"outcome":"done-before"}', media_type="application/json", headers=REPLAYED)
        await asyncio.sleep(_POLL)
    return None


async def enter(command: Command, unit: Unit) -> None:
    """First statement of the command's transaction: claims the key. A second request with it waits here, then is DoneBefore."""
    caller = command.caller
    if caller is None or command.key is None or command.claimed:
        return
    table = tables(unit.service).idempotency
    statement = (
        insert(table)
        .values(clinic_id=caller.clinic_id, key_hash=command.key_hash, fingerprint=command.fingerprint, at=unit.now)
        .on_conflict_do_nothing(index_elements=["clinic_id", "key_hash"])
        .returning(table.c.key_hash)
    )
    if (await unit.conn.execute(statement)).first() is None:
        raise DoneBefore


async def leave(command: Command, unit: Unit) -> None:
    """Last statement before the commit: who did it, to what, and why."""
    caller = command.caller
    if caller is None or command.claimed:
        return
    audit_id = uuid4()
    reason = unit.cipher.seal(command.reason, table="audit", column="reason", row=audit_id) if command.reason else None
    await unit.conn.execute(
        insert(tables(unit.service).audit).values(
            audit_id=audit_id,
            clinic_id=caller.clinic_id,
            at=unit.now,
            key_id=caller.key_id,
            author=caller.name,
            person_id=caller.person_id,
            method=command.method,
            route=command.route,
            objects=command.objects,
            reason=reason,
            correlation_id=command.correlation_id,
        )
    )


async def keep_answer(command: Command, status: int, body: bytes, store: Store) -> None:
    """Stores the answer of a command that took effect, sealed: it may hold what only its caller may read."""
    caller = command.caller
    if caller is None or command.key is None or not command.claimed:
        return
    table = tables(store.service).idempotency
    sealed = store.cipher.seal(body.decode(), table="idempotency", column="answer", row=_place(caller, command))
    same = (table.c.clinic_id == caller.clinic_id) & (table.c.key_hash == command.key_hash)
    async with store.engine.begin() as conn:
        await conn.execute(update(table).where(same, table.c.answer.is_(None)).values(status=status, answer=sealed))


async def forget_old(conn: AsyncConnection, service: str, now: datetime) -> int:
    """Drops keys older than a client may still repeat; how many."""
    table = tables(service).idempotency
    gone = await conn.execute(delete(table).where(table.c.at < now - default("shared", "idempotency_kept")))
    return gone.rowcount


async def _claim(store: Store, caller: Caller, command: Command) -> Row[Any] | None:
    table = tables(store.service).idempotency
    same = (table.c.clinic_id == caller.clinic_id) & (table.c.key_hash == command.key_hash)
    async with store.engine.connect() as conn:
        return (await conn.execute(select(table).where(same))).first()


def _replay(row: Row[Any], cipher: FieldCipher, caller: Caller, command: Command) -> Response:
    body = cipher.open(row.answer, table="idempotency", column="answer", row=_place(caller, command))
    media_type = "application/json" if row.status < 400 else MEDIA_TYPE
    return Response(body, status_code=row.status, media_type=media_type, headers=REPLAYED)


def _reused() -> Response:
    return problem(
        422,
        "This idempotency key was used for a different request.",
        slug="idempotency-key-reused",
        element="Idempotency-Key",
        accepted="a new key for a new command, or the same request again",
    )


def _place(caller: Caller, command: Command) -> str:
    """The row that a stored answer is bound to."""
    return f"{caller.clinic_id}/{command.key_hash.hex()}"


def _own_id(caller: Caller, name: str, value: object) -> str:
    """Our id of what a path names: an external id may be a record number and does not go into the audit."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return str(stable_id(caller.clinic_id, name, value))
