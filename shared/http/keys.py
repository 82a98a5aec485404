"""Keys over HTTP: an ops key registers the *hash* of another key, lists what there is, revokes. No key is ever sent here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared import identity
from shared.errors import DomainError
from shared.events.base import Slug
from shared.http.ids import person_id
from shared.http.security import requires
from shared.identity import Caller, KeyRole

if TYPE_CHECKING:
    from shared.runtime import Runtime

Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class NewKey(BaseModel):
    """`label` names the key in the audit: a tool or a role such as `clinic-desk`, never a person. `person` is an external id."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    label: Slug
    roles: Annotated[list[KeyRole], Field(min_length=1)]
    sha256: Sha256Hex
    person: str | None = None
    reason: str | None = None


class KeyShown(BaseModel):
    key_id: UUID
    label: str
    roles: list[KeyRole]
    person_id: UUID | None
    created_at: datetime
    revoked_at: datetime | None


class Registered(BaseModel):
    key_id: UUID
    outcome: str


def router(runtime: Runtime) -> APIRouter:
    """`/keys` of one service."""
    routes = APIRouter(tags=["keys"])
    service = runtime.settings.service

    @routes.post("/keys")
    async def register_key(body: NewKey, caller: Annotated[Caller, Depends(requires("ops"))]) -> Registered:
        key_hash = bytes.fromhex(body.sha256)
        person = person_id(caller, body.person) if body.person else None
        async with runtime.unit() as unit:
            fresh = await identity.register(
                unit.conn, service, caller, key_hash=key_hash, label=body.label, roles=body.roles, person_id=person, now=unit.now
            )
        return Registered(key_id=identity.key_id_of(key_hash), outcome="registered" if fresh else "unchanged")

    @routes.get("/keys")
    async def list_keys(caller: Annotated[Caller, Depends(requires("ops"))]) -> list[KeyShown]:
        async with runtime.engine.connect() as conn:
            rows = await identity.keys_of(conn, service, caller.clinic_id)
        return [KeyShown.model_validate(row) for row in rows]

    @routes.delete("/keys/{key_id}")
    async def revoke_key(key_id: UUID, caller: Annotated[Caller, Depends(requires("ops"))]) -> Registered:
        async with runtime.unit() as unit:
            if not await identity.revoke(unit.conn, service, caller.clinic_id, key_id, unit.now):
                raise DomainError("key_id", "There is no such key.", accepted="the key_id of a key of this clinic", status=404)
        return Registered(key_id=key_id, outcome="revoked")

    return routes
