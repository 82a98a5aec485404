"""The services' public HTTP API as the command line uses it: JSON in and out, the user's key, problems as one line."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from steadypath.errors import CommandError
from steadypath.state import Running

TIMEOUT_SECONDS = 90.0


class ProblemError(CommandError):
    """The service refused (problem+json). `status` is HTTP's, `detail` what it said without the place."""

    def __init__(self, status: int, line: str, detail: str = "") -> None:
        super().__init__(line)
        self.status = status
        self.detail = detail or line


class Client:
    """Blocking calls to one running system."""

    def __init__(self, running: Running) -> None:
        self._running = running
        # Straight to the address that was named: a proxy of the environment has no business between us and a loopback port.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def put(self, path: str, body: object, *, key: str | None = None) -> Any:
        return self.call("PUT", path, body, key=key)

    def post(self, path: str, body: object) -> Any:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Any:
        """The answer's JSON, None where it has none. Raises ProblemError on 4xx and 5xx, CommandError where nobody answers."""
        request = urllib.request.Request(self._running.origin + path, method=method)  # noqa: S310 - http(s) only, checked in state.find
        request.add_header("Authorization", f"Bearer {self._running.key}")
        request.add_header("Accept", "application/json")
        if body is not None:
            request.data = json.dumps(body).encode("utf-8")
            request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("Idempotency-Key", key)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            with error:
                content = error.read()
                raise ProblemError(error.code, f"{method} {path}: {_said(error.code, content)}", _detail(content)) from None
        except (urllib.error.URLError, HTTPException, OSError) as error:
            raise CommandError(
                f"{self._running.origin} does not answer ({_reason(error)}): is `steadypath up` running there?"
            ) from None
        return json.loads(content) if content else None


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error or type(error).__name__)


def _said(status: int, content: bytes) -> str:
    try:
        problem = json.loads(content)
        parts = [str(problem.get("element") or ""), str(problem.get("detail") or problem.get("title") or "")]
        accepted = f" (accepted: {problem['accepted']})" if problem.get("accepted") else ""
        return ": ".join(part for part in parts if part) + accepted
    except (ValueError, AttributeError):
        return f"HTTP {status}"


def _detail(content: bytes) -> str:
    try:
        return str(json.loads(content).get("detail") or "")
    except (ValueError, AttributeError):
        return ""
