"""THE patient lock (DESIGN.md rule 2): who changes anything of a patient has it, in every service its own."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from uuid import UUID

from sqlalchemy import BigInteger, Integer, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

_LOCK = text("SELECT pg_advisory_xact_lock(n) FROM unnest(:numbers) WITH ORDINALITY AS t(n, i) ORDER BY i").bindparams(
    bindparam("numbers", type_=ARRAY(BigInteger))
)
_ELAPSED_MS = "1000 * extract(epoch FROM clock_timestamp() - statement_timestamp())"
#: The same for who does not wait long: what is left of the patience is set anew before each lock, for `lock_timeout` counts for
#: each by itself; never less than 50 ms, for it holds for whatever else the transaction waits for. (Volatile functions are called
#: after the sort, in the order in which they stand.)
_LOCK_WITHIN = text(
    "SELECT set_config('lock_timeout', greatest(:within - elapsed_ms, 50)::int || 'ms', true), pg_advisory_xact_lock(n)"
    " FROM unnest(:numbers) WITH ORDINALITY AS t(n, i) ORDER BY i".replace("elapsed_ms", _ELAPSED_MS)
).bindparams(bindparam("numbers", type_=ARRAY(BigInteger)), bindparam("within", type_=Integer))


def lock_number(service: str, key: UUID) -> int:
    """The 64-bit advisory lock of a service's key."""
    return int.from_bytes(blake2b(service.encode() + b"/" + key.bytes, digest_size=8).digest(), "big", signed=True)


async def lock_keys(conn: AsyncConnection, service: str, keys: Iterable[UUID], *, within: int | None = None) -> None:
    """THE patient lock: held to the end of the transaction, taken in one order by everybody, before any row lock (rule 2).

    `within`: so long (machine milliseconds, give or take 50) all of them may take; then the database raises its error
    (`lock_not_available`), and the transaction cannot go on. Any lock that it waits for after these has what was left, or 50 ms.
    """
    numbers = sorted({lock_number(service, key) for key in keys})
    if numbers and within is None:
        await conn.execute(_LOCK, {"numbers": numbers})
    elif numbers:
        await conn.execute(_LOCK_WITHIN, {"numbers": numbers, "within": within})
