"""Endpoints that are asked all the time: served by a plain route, past FastAPI's layers, which cost more (decision 0213)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[[Request], Awaitable[Response]]


def plain(endpoint: Endpoint) -> Endpoint:
    """Marks an endpoint that takes the request and returns the response, and checks whatever there is to check by itself: no
    dependency of its route is asked, no parameter read. `create_app` serves it before all others."""
    endpoint.steadypath_plain = True  # type: ignore[attr-defined]
    return endpoint


def is_plain(endpoint: Callable[..., Any]) -> bool:
    return getattr(endpoint, "steadypath_plain", False)
