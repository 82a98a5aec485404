"""The care board: one plain page, a client of the public APIs with the user's own key. It holds nothing of anybody itself."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

_HERE = Path(__file__).parent
#: Nothing from elsewhere, nothing inline; it talks to its own origin only.
_ALLOWED = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
_POLICY = f"{_ALLOWED}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
_FILES = {"board.js": "text/javascript; charset=utf-8", "board.css": "text/css; charset=utf-8"}


def page() -> APIRouter:
    """GET /board and its two files."""
    routes = APIRouter()
    contents = {name: (_HERE / name).read_bytes() for name in ("board.html", *_FILES)}

    @routes.get("/board")
    async def board() -> Response:
        return Response(contents["board.html"], media_type="text/html; charset=utf-8", headers=_HEADERS)

    @routes.get("/board/{name}")
    async def file(name: str) -> Response:
        if name not in _FILES:
            return Response(status_code=404)
        return Response(contents[name], media_type=_FILES[name], headers=_HEADERS)

    return routes
