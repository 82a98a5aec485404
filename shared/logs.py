"""Logging that cannot leak: only allow-listed keys of known shapes pass, everything else is dropped and counted.

One JSON object a line on standard output. Messages of libraries are reduced to logger, level, place and exception class: their
text may quote a phone number. Exceptions are a class and a place in code, never `str(error)`.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from uuid import UUID

import structlog

from shared.clock import machine_now

Level = Literal["debug", "info", "warning", "error"]
_Shape = Callable[[object], bool]

_HOUSE = Path(__file__).resolve().parent.parent
_EVENT = re.compile(r"[a-z][a-z0-9 ,'-]{2,99}")
# Lower case, no spaces, no long run of digits: neither a sentence nor a phone number fits.
_SLUG = re.compile(r"(?!.*\d{7})[a-z0-9][a-z0-9._:-]{0,95}")
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,95}")
_PLACE = re.compile(r"[A-Za-z0-9_./<>-]{1,160}:[A-Za-z0-9_<>]{0,80}:\d{1,6}")
_ROUTE = re.compile(r"/[A-Za-z0-9/{}_.-]{0,159}")


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _id(value: object) -> bool:
    return isinstance(value, UUID)


def _matching(pattern: re.Pattern[str]) -> _Shape:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_slug, _class, _place, _route = (_matching(each) for each in (_SLUG, _CLASS, _PLACE, _ROUTE))


def _route_pattern(value: object) -> bool:
    return _route(value) and not re.search(r"\d{4}|[0-9a-f]{8}-", str(value))


_SHAPES: tuple[tuple[_Shape, str], ...] = (
    (_id, "event_id correlation_id causation_id notice_id key_id incident_id alert_id"),
    (_slug, "service role name kind topic event_type outcome reason state check phase setting group signal fault method"),
    (_slug, "action section incarnation version suite"),
    (_number, "partition offset count rows attempt attempts status code repair epoch pid port sent due parked"),
    (_number, "seconds lag age skew dropped repeated retry_in"),
    (_class, "error cause logger sqlstate"),
    (_place, "place"),
    (_route_pattern, "route"),
)
#: Every key that may be logged, and what its value must look like. No person's id is among them.
ALLOWED: dict[str, _Shape] = {key: shape for shape, keys in _SHAPES for key in keys.split()}
#: Keys that this module itself writes.
_OWN = ("event", "level", "at")

#: What was refused since the start, by key where the key itself is known, for the metric.
refused: Counter[str] = Counter()


def allow_list(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: what is not allowed is gone before anything is rendered."""
    kept = {key: value for key, value in line.items() if key in _OWN or (key in ALLOWED and ALLOWED[key](value))}
    gone = [key for key in line if key not in kept]
    for key in gone:
        refused[key if key in ALLOWED else "unknown"] += 1
    if gone:
        kept["dropped"] = len(gone)
    if not _matching(_EVENT)(kept.get("event")):
        refused["event"] += 1
        kept["event"] = "unnamed"
    return {key: str(value) if isinstance(value, UUID) else value for key, value in kept.items()}


def _stamp(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    line["at"] = machine_now().isoformat(timespec="milliseconds")
    return line


class Log:
    """`log("outbox published", rows=12)`; `log.failure("pass failed", exc, name="ticker")` for an exception.

    The first argument is a constant sentence in lower case; every changing part is a field named in `ALLOWED`.
    """

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
        """Class, place in our code, the cause's class and PostgreSQL's error code; never what the exception says."""
        self(event, level=level, **{**describe(error), **fields})


log = Log()


def describe(error: BaseException) -> dict[str, str]:
    """What may be said of an exception: {"error", "place"} and, where there is one, {"cause", "sqlstate"}."""
    told = {"error": type(error).__name__, "place": place_of(error.__traceback__)}
    if error.__cause__ is not None:
        told["cause"] = type(error.__cause__).__name__
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None)
    if isinstance(sqlstate, str):
        told["sqlstate"] = sqlstate
    return told


def place_of(trace: TracebackType | None) -> str:
    """file:function:line of the innermost frame in our own code, else of the innermost frame."""
    frames = [(Path(frame.f_code.co_filename), frame.f_code.co_name, line) for frame, line in traceback.walk_tb(trace)]
    if not frames:
        return "unknown::0"
    ours = [each for each in frames if each[0].is_relative_to(_HOUSE) and "site-packages" not in each[0].parts]
    path, function, line = (ours or frames)[-1]
    return f"{path.relative_to(_HOUSE).as_posix() if ours else path.name}:{function}:{line}"


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Fields of every line inside the block, and of none after it: FastStream's loop is one task, plain binding would leak."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


class Reduced(logging.Handler):
    """Takes every library's log record and says only where it came from. The same line is said once in ten seconds."""

    def __init__(self, quiet_seconds: float = 10.0) -> None:
        super().__init__()
        self._quiet = quiet_seconds
        self._said: dict[tuple[str, int], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        key = (record.name, record.lineno)
        since, repeated = self._said.get(key, (float("-inf"), 0))
        if record.created - since < self._quiet:
            self._said[key] = (since, repeated + 1)
            return
        self._said[key] = (record.created, 0)
        fields: dict[str, Any] = {"logger": record.name, "place": f"{record.filename}:{record.funcName}:{record.lineno}"}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= describe(record.exc_info[1])
        if repeated:
            fields["repeated"] = repeated
        log("library", level=_level_of(record), **fields)


def _level_of(record: logging.LogRecord) -> Level:
    return "error" if record.levelno >= logging.ERROR else "warning" if record.levelno >= logging.WARNING else "info"


#: Our own access log replaces uvicorn's; the Twilio SDK logs URLs with phone numbers; aiohttp logs request lines.
_SILENT = ("uvicorn.access", "uvicorn.error", "twilio", "aiohttp.access", "faststream.access")
#: Below this a library says nothing that is for an operator.
_LIBRARY_LEVEL = logging.WARNING


def configure(service: str, role: str, level: Level = "info") -> None:
    """Set up the process: our logs as JSON lines, every other logger and every uncaught exception reduced."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp,
            _Constant(service, role),
            allow_list,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=False,
    )
    reduce_libraries()
    sys.excepthook = lambda _kind, error, _trace: log.failure("uncaught", error)
    sys.unraisablehook = lambda raised: log.failure("unraisable", raised.exc_value or RuntimeError())
    threading.excepthook = lambda args: log.failure("uncaught in a thread", args.exc_value or RuntimeError())


def reduce_libraries() -> None:
    """Route the standard library's logging through `Reduced`, whatever a library had set up before."""
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [Reduced()]
    root.setLevel(_LIBRARY_LEVEL)
    for name in [*logging.root.manager.loggerDict, *_SILENT]:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
        logger.disabled = name in _SILENT
    # A logging call that fails must not print its arguments to standard error.
    logging.raiseExceptions = False


class _Constant:
    """Adds the process's own name to each line."""

    def __init__(self, service: str, role: str) -> None:
        self._fields = {"service": service, "role": role}

    def __call__(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return line | self._fields if isinstance(line, dict) else {**line, **self._fields}
