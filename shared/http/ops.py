"""The ops channel over HTTP: what was said and whether it arrived, and a test of every channel that is set. Roles: ops."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy import or_, select

from shared.db import metadata_for
from shared.house_tables import house_tables
from shared.http.security import requires
from shared.identity import Caller
from shared.ops.channels import Channel, Why, channels_of
from shared.ops.kinds import words
from shared.ops.notice import Notice

if TYPE_CHECKING:
    from shared.runtime import Runtime

Ops = Annotated[Caller, Depends(requires("ops"))]
_AT_MOST = 200


class NoticeShown(BaseModel):
    """`at` is clinical, UTC. `details` are slugs, counts and our own ids. A channel in neither list has it still before it."""

    notice_id: UUID
    kind: str
    says: str
    at: datetime
    details: dict[str, str | int]
    state: Literal["waiting", "delivered", "given-up"]
    attempts: int
    delivered_by: list[str]
    refused_by: list[str]


class Tested(BaseModel):
    """What became of a test on one channel. `code` is the other side's own: HTTP's or SMTP's."""

    channel: str
    delivered: bool
    why: Why | None = None
    code: int | None = None


def router(runtime: Runtime) -> APIRouter:
    """`/ops` of one service."""
    routes = APIRouter(tags=["ops"])
    channels = channels_of(runtime.settings)

    @routes.get("/ops/notices", summary="The last 200 notices, newest first")
    async def list_notices(caller: Ops) -> list[NoticeShown]:
        table = house_tables(metadata_for(runtime.settings.service)).ops_notice
        mine = or_(table.c.clinic_id == caller.clinic_id, table.c.clinic_id.is_(None))
        query = select(table).where(mine).order_by(table.c.at.desc()).limit(_AT_MOST)
        async with runtime.engine.connect() as conn:
            rows = (await conn.execute(query)).mappings().all()
        return [NoticeShown(**{**row, "says": words(row["kind"])}) for row in rows]

    @routes.post("/ops/test", summary="Send a test through every ops channel")
    async def test_channels(caller: Ops) -> list[Tested]:
        async with runtime.unit() as unit:  # it is a command: audited
            at = unit.now
        return [await _test(channel, Notice(uuid4(), runtime.settings.service, "test", at, {})) for channel in channels]

    return routes


async def _test(channel: Channel, notice: Notice) -> Tested:
    outcome = (await channel.deliver([notice]))[notice.id]
    return Tested(channel=channel.name, delivered=outcome.state == "delivered", why=outcome.why, code=outcome.code)
