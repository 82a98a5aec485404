"""Who is calling: API keys that belong to a clinic and bear roles. Only a key's SHA-256 is stored.

A key is 256 random bits (`spk_<id>_<secret>`), so a plain hash cannot be searched backwards. Its id is derived from the hash:
the same key registered at all three services has the same id in all three.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal
from uuid import UUID

from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.db import metadata_for
from shared.errors import DomainError
from shared.events.base import stable_id
from shared.house_tables import house_tables

KeyRole = Literal["prescriber", "therapist", "coordinator", "ops", "service"]
ROLES: tuple[KeyRole, ...] = ("prescriber", "therapist", "coordinator", "ops", "service")
BOOTSTRAP_LABEL = "first-key"


@dataclass(frozen=True)
class Caller:
    """The bearer of the key of this request. Every query takes `clinic_id`: a clinic sees only its own rows."""

    clinic_id: UUID
    key_id: UUID
    roles: frozenset[str]
    #: The key's label, as it stands in the audit; never a person's name.
    name: str
    #: The care-team member whose key it is, where it was registered for one.
    person_id: UUID | None = None
    #: The installation's first key (STEADYPATH_KEY): what concerns every clinic is its bearer's alone (decision 0201).
    operator: bool = False


def new_key() -> str:
    """A fresh key, shown once and stored nowhere: 8 characters to tell keys apart, 256 bits of secret."""
    return f"spk_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> bytes:
    """What is stored of a key."""
    return sha256(key.encode()).digest()


def key_id_of(key_hash: bytes) -> UUID:
    return stable_id("key", key_hash.hex())


def clinic_id_of(slug: str) -> UUID:
    """The clinic's id from `STEADYPATH_CLINIC`."""
    return stable_id("clinic", slug)


async def find_caller(conn: AsyncConnection, service: str, key: str) -> Caller | None:
    """The bearer of a live key, or None. A revoked key stops working with the revocation's commit."""
    table = house_tables(metadata_for(service)).api_key
    row = (await conn.execute(select(table).where(table.c.sha256 == hash_of(key), table.c.revoked_at.is_(None)))).first()
    return (
        None if row is None else Caller(row.clinic_id, row.key_id, frozenset(row.roles), row.label, row.person_id, row.bootstrap)
    )


def first_caller(clinic: str, key: str) -> Caller:
    """The bearer of the first key, as `bootstrap` stores it."""
    return Caller(clinic_id_of(clinic), key_id_of(hash_of(key)), frozenset(ROLES), BOOTSTRAP_LABEL, operator=True)


async def bootstrap(conn: AsyncConnection, service: str, clinic_id: UUID, key: str, now: datetime) -> None:
    """Makes `key` the first key, bearing all roles; one that was the first before is revoked: a changed setting takes effect."""
    table = house_tables(metadata_for(service)).api_key
    key_hash = hash_of(key)
    await conn.execute(
        update(table).where(table.c.bootstrap, table.c.revoked_at.is_(None), table.c.sha256 != key_hash).values(revoked_at=now)
    )
    fresh = insert(table).values(
        key_id=key_id_of(key_hash),
        clinic_id=clinic_id,
        sha256=key_hash,
        label=BOOTSTRAP_LABEL,
        roles=list(ROLES),
        bootstrap=True,
        created_at=now,
    )
    await conn.execute(
        fresh.on_conflict_do_update(
            index_elements=["key_id"],
            set_={"revoked_at": None, "bootstrap": True, "roles": list(ROLES), "clinic_id": clinic_id},
        )
    )


async def register(
    conn: AsyncConnection,
    service: str,
    caller: Caller,
    *,
    key_hash: bytes,
    label: str,
    roles: Sequence[str],
    person_id: UUID | None,
    now: datetime,
) -> bool:
    """Registers another key of the caller's clinic; False where the very same stood already. DomainError 409 where it cannot."""
    table = house_tables(metadata_for(service)).api_key
    values = {
        "key_id": key_id_of(key_hash),
        "clinic_id": caller.clinic_id,
        "sha256": key_hash,
        "label": label,
        "roles": sorted(set(roles)),
        "person_id": person_id,
        "created_at": now,
    }
    inserted = await conn.execute(insert(table).values(values).on_conflict_do_nothing().returning(table.c.key_id))
    if inserted.first() is not None:
        return True
    there = (await conn.execute(select(table).where(table.c.key_id == values["key_id"]))).first()
    same = there is not None and all(
        getattr(there, name) == values[name] for name in ("clinic_id", "label", "roles", "person_id")
    )
    if there is None or there.revoked_at is not None or not same:
        raise DomainError("sha256", "This key cannot be registered so.", accepted="the hash of a new key", status=409)
    return False


async def keys_of(conn: AsyncConnection, service: str, clinic_id: UUID) -> Sequence[RowMapping]:
    """All keys of a clinic, revoked ones too; never a hash."""
    table = house_tables(metadata_for(service)).api_key
    shown = (table.c.key_id, table.c.label, table.c.roles, table.c.person_id, table.c.created_at, table.c.revoked_at)
    return (
        (await conn.execute(select(*shown).where(table.c.clinic_id == clinic_id).order_by(table.c.created_at))).mappings().all()
    )


async def revoke(conn: AsyncConnection, service: str, clinic_id: UUID, key_id: UUID, now: datetime) -> bool:
    """Revokes a key of the clinic; False where there is none such. DomainError 409 for the first key: it is a setting."""
    table = house_tables(metadata_for(service)).api_key
    mine = (table.c.clinic_id == clinic_id) & (table.c.key_id == key_id)
    row = (await conn.execute(select(table.c.bootstrap).where(mine))).first()
    if row is None:
        return False
    if row.bootstrap:
        raise DomainError("key_id", "The first key is a setting.", accepted="another STEADYPATH_KEY and a restart", status=409)
    await conn.execute(update(table).where(mine, table.c.revoked_at.is_(None)).values(revoked_at=now))
    return True
