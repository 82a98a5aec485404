"""The HTTP application of one service: its own routes and the shared ones under its prefix, health at the root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Scope

from shared.health import Health
from shared.http.edge import Edge
from shared.http.plain import is_plain
from shared.http.problems import MEDIA_TYPE, Problem, install
from shared.http.security import reads_metrics

if TYPE_CHECKING:
    from shared.runtime import Runtime

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (401, "No valid key."),
        (403, "The key does not bear the role."),
        (404, "There is nothing such in the caller's clinic."),
        (409, "It cannot be done in the present state."),
        (422, "Something in the request is not accepted."),
    )
}


def create_app(runtime: Runtime, health: Health, routers: Sequence[APIRouter], pages: Sequence[APIRouter] = ()) -> ASGIApp:
    """`routers` go under the service's prefix; none of them (role worker without simulation) leaves health alone. `pages` are
    static pages at the root, outside the API: they hold nothing of anybody and need no key."""
    prefix = f"/{runtime.settings.service}"
    app = FastAPI(
        title=f"Steadypath {runtime.settings.service}",
        version="1",
        openapi_url=f"{prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.runtime = runtime
    install(app)
    app.include_router(_health_routes(health))
    metrics = _metrics_route(runtime, health)
    app.include_router(metrics)
    for router in (metrics, *routers):
        app.include_router(router, prefix=prefix, responses=_PROBLEMS)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    app.router.routes[:0] = [
        _Plain(prefix + one.path, one.endpoint, methods=list(one.methods or ())) for one in routes if is_plain(one.endpoint)
    ]
    for page in pages:
        app.include_router(page, include_in_schema=False)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to adapt the document
    return Edge(app, runtime, health)


class _Plain(Route):
    """The route of an endpoint that is marked `plain`. FastAPI's own stays behind it for the document; nothing comes there."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As FastAPI's routes do, it tells who matched: the log and the counts name it."""
        match, found = super().matches(scope)
        return match, found if match is Match.NONE else {**found, "route": self}


def _metrics_route(runtime: Runtime, health: Health) -> APIRouter:
    """At the root of the service's own port and, for whoever comes through the origin, under its prefix. With a key: counts of a
    clinic's patients and silences are not for everybody."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics", dependencies=[Depends(reads_metrics)])
    async def metrics() -> Response:
        await health.report()
        return Response(runtime.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


def _health_routes(health: Health) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/livez")
    async def livez() -> dict[str, bool]:
        return {"alive": True}

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        report = await health.report()
        return JSONResponse(report.as_json(), status_code=200 if report.ready else 503)

    return routes


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document with problems under their own media type."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        for path in document["paths"].values():
            for operation in path.values():
                _name_problems(operation["responses"])
        app.openapi_schema = document
    return app.openapi_schema


def _name_problems(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        content = response.get("content", {})
        if status >= "400" and "application/json" in content:
            content[MEDIA_TYPE] = content.pop("application/json")
