"""The dependency that lets a request in: `caller: Caller = Depends(requires("prescriber", "coordinator"))`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request

from shared.identity import Caller, KeyRole


def requires(*roles: KeyRole) -> Callable[[Request], Awaitable[Caller]]:
    """Lets in a key that bears one of `roles` (none given: any valid key). 401 without a valid key, 403 without the role."""

    async def dependency(request: Request) -> Caller:
        caller: Caller = await request.app.state.runtime.authenticate(request, roles)
        return caller

    return dependency
