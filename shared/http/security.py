"""The dependency that lets a request in: `caller: Caller = Depends(requires("prescriber", "coordinator"))`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import TYPE_CHECKING

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.http import commands
from shared.http.problems import Refusal, problem
from shared.identity import Caller, KeyRole, find_caller, first_caller

if TYPE_CHECKING:
    from shared.runtime import Runtime

_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="An API key of the clinic.")
_LONGEST_KEY = 512


def requires(*roles: KeyRole) -> Callable[..., Awaitable[Caller]]:
    """Lets in a key that bears one of `roles` (none given: any valid key). 401 without a valid key, 403 without the role."""

    async def dependency(
        request: Request,
        credentials: HTTPAuthorizationCredentials | None = Security(_bearer),  # noqa: B008 - FastAPI's own idiom
    ) -> Caller:
        runtime: Runtime = request.app.state.runtime
        caller = await _bearer_of(runtime, credentials)
        if roles and caller.roles.isdisjoint(roles):
            raise Refusal(problem(403, "This key does not bear the role.", element="Authorization", accepted=" or ".join(roles)))
        command = commands.current()
        if command is not None:
            pattern = str(getattr(request.scope.get("route"), "path", "/unknown"))
            await commands.admit(command, caller, pattern, request.path_params, runtime.store)
        return caller

    dependency.steadypath_roles = roles  # type: ignore[attr-defined]  # lets a test find the routes that nobody guards
    return dependency


async def admitted(request: Request, *roles: KeyRole) -> Caller:
    """As `requires`, for a plain route, which has no dependencies."""
    return await requires(*roles)(request, await _bearer(request))


async def reads_metrics(
    request: Request,
    credentials: HTTPAuthorizationCredentials | None = Security(_bearer),  # noqa: B008 - as above
) -> None:
    """Lets in the metrics key, which is a setting: what watches must see a service whose database is away. Else the role ops."""
    runtime: Runtime = request.app.state.runtime
    key = runtime.settings.metrics_key
    if key is None or credentials is None or not compare_digest(credentials.credentials.encode(), key.encode()):
        await requires("ops")(request, credentials)


async def _bearer_of(runtime: Runtime, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    caller = None
    settings = runtime.settings
    if credentials is not None and len(credentials.credentials) <= _LONGEST_KEY:
        if settings.simulated and settings.key and compare_digest(credentials.credentials.encode(), settings.key.encode()):
            # The first key is a setting that no command revokes. A rehearsal steps each service thousands of times.
            return first_caller(settings.clinic, settings.key)
        async with runtime.reader.connect() as conn:
            caller = await find_caller(conn, settings.service, credentials.credentials)
    if caller is None:
        headers = {"WWW-Authenticate": "Bearer"}
        raise Refusal(
            problem(401, "A valid key is needed.", element="Authorization", accepted="Bearer and a valid key", headers=headers)
        )
    return caller
