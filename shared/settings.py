"""What differs between one installation and another: environment variables `STEADYPATH_*`, all listed in `.env.example`.

Every setting may also be given as a file, `STEADYPATH_X_FILE` (the way container secrets arrive). A bad value ends the start
with one line that names the variable and what is accepted, never the value.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from shared.mail_settings import MailSettings, mail_from

PREFIX = "STEADYPATH_"
Role = Literal["worker", "web", "both"]
T = TypeVar("T")


class SettingsError(Exception):
    """One line for the operator: the variable's name and what is accepted."""

    def __init__(self, variable: str, accepted: str) -> None:
        super().__init__(f"{variable}: {accepted}")
        self.variable = variable
        self.accepted = accepted


@dataclass(frozen=True)
class Settings:
    """One process's settings. `repr` shows no secret."""

    service: str
    role: Role
    database_url: str = field(repr=False)
    kafka_bootstrap: str
    #: By id; the first one seals and makes the blind indexes, the others only open.
    data_key: Mapping[int, bytes] = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    key: str | None = field(default=None, repr=False)
    clinic: str = "clinic"
    clock_page: Path | None = None
    kafka_bootstrap_file: Path | None = None
    #: Milliseconds that Kafka may hold a fetch while there is nothing to give.
    kafka_fetch_wait: int = 20
    twilio_account_sid: str | None = None
    twilio_auth_token: str | None = field(default=None, repr=False)
    #: The token before the last rotation: still verifies signatures, never sends.
    twilio_auth_token_previous: str | None = field(default=None, repr=False)
    twilio_api_base: str = "https://api.twilio.com"
    public_base_url: str | None = None
    ops_webhook_url: str | None = field(default=None, repr=False)
    ops_mail: MailSettings | None = None
    #: Where traces go (OTLP over HTTP); None: there are none.
    otlp_endpoint: str | None = None
    #: Opens /metrics and nothing else.
    metrics_key: str | None = field(default=None, repr=False)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def from_env(cls, service: str, role: Role = "both", env: Mapping[str, str] | None = None) -> Settings:
        """Read and check everything. Raises `SettingsError` for the first variable that is missing or bad."""
        read = _Reader(os.environ if env is None else env)
        return cls(
            service=service,
            role=role,
            database_url=read.needed("DATABASE_URL", _database_url),
            kafka_bootstrap=read.needed("KAFKA_BOOTSTRAP", _bootstrap),
            kafka_bootstrap_file=read.file_of("KAFKA_BOOTSTRAP"),
            kafka_fetch_wait=read.given("KAFKA_FETCH_WAIT", _milliseconds, 20),
            data_key=read.needed("DATA_KEY", _data_key),
            host=read.given("HOST", _host, "127.0.0.1"),
            port=read.given("PORT", _port, 8080),
            key=read.optional("KEY", _secret),
            clinic=read.given("CLINIC", _slug, "clinic"),
            clock_page=read.optional("CLOCK_PAGE", _existing_file),
            twilio_account_sid=read.optional("TWILIO_ACCOUNT_SID", _account_sid),
            twilio_auth_token=read.optional("TWILIO_AUTH_TOKEN", _secret),
            twilio_auth_token_previous=read.optional("TWILIO_AUTH_TOKEN_PREVIOUS", _secret),
            twilio_api_base=read.given("TWILIO_API_BASE", _http_url, "https://api.twilio.com"),
            public_base_url=read.optional("PUBLIC_BASE_URL", _http_url),
            ops_webhook_url=read.optional("OPS_WEBHOOK_URL", _webhook_url),
            ops_mail=mail_from(read, _secret, _port),
            otlp_endpoint=read.optional("OTLP_ENDPOINT", _http_url),
            metrics_key=read.optional("METRICS_KEY", _secret),
            log_level=read.given("LOG_LEVEL", _level, "info"),
        )

    def need(self, *fields: str) -> None:
        """Raises SettingsError for the first of the fields that is not set: what this one service cannot do without."""
        for name in fields:
            if getattr(self, name) is None:
                raise SettingsError(f"{PREFIX}{name.upper()}", f"is needed by the {self.service} and not set (see .env.example)")

    @property
    def simulated(self) -> bool:
        return self.clock_page is not None

    def current_kafka_bootstrap(self) -> str:
        """The broker's address now: an embedded broker that was restarted has a new port, and the launcher rewrites the file."""
        if self.kafka_bootstrap_file is None:
            return self.kafka_bootstrap
        try:
            return _bootstrap(self.kafka_bootstrap_file.read_text("utf-8").strip())
        except (OSError, ValueError):
            return self.kafka_bootstrap


class _Reader:
    """Looks a name up as `STEADYPATH_X`, else in the file that `STEADYPATH_X_FILE` names."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def file_of(self, name: str) -> Path | None:
        path = self._env.get(f"{PREFIX}{name}_FILE", "")
        return Path(path) if path and not self._env.get(f"{PREFIX}{name}") else None

    def text(self, name: str) -> str | None:
        direct = self._env.get(f"{PREFIX}{name}")
        if direct:
            return direct
        path = self.file_of(name)
        if path is None:
            return None
        try:
            return path.read_text("utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            raise SettingsError(f"{PREFIX}{name}_FILE", "the path of a readable UTF-8 file") from None

    def optional(self, name: str, parse: Callable[[str], T]) -> T | None:
        raw = self.text(name)
        return None if raw is None else self._parsed(name, raw, parse)

    def given(self, name: str, parse: Callable[[str], T], default: T) -> T:
        found = self.optional(name, parse)
        return default if found is None else found

    def needed(self, name: str, parse: Callable[[str], T]) -> T:
        raw = self.text(name)
        if raw is None:
            raise SettingsError(f"{PREFIX}{name}", f"is needed and not set; {_accepted(parse)} (see .env.example)")
        return self._parsed(name, raw, parse)

    def _parsed(self, name: str, raw: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(raw)
        except (ValueError, binascii.Error):
            raise SettingsError(f"{PREFIX}{name}", f"not accepted; {_accepted(parse)}") from None


def _accepted(parse: Callable[[str], object]) -> str:
    """Each parser's docstring says what it takes: one place for the rule and its wording."""
    return (parse.__doc__ or "see .env.example").strip()


def _require(passed: bool) -> None:
    if not passed:
        raise ValueError


def _database_url(raw: str) -> str:
    """a PostgreSQL address: postgresql://user:password@host:port/database"""
    parts = urlsplit(raw)
    _require(parts.scheme in ("postgresql", "postgres", "postgresql+asyncpg") and len(parts.path) > 1)
    return "postgresql+asyncpg://" + raw.split("://", 1)[1]


def _bootstrap(raw: str) -> str:
    """Kafka's addresses: host:port, several with commas"""
    for address in raw.split(","):
        host, _, port = address.strip().rpartition(":")
        _require(bool(host) and "/" not in host and port.isdigit())
        _port(port)
    return raw


def _milliseconds(raw: str) -> int:
    """whole milliseconds, 1 to 5000"""
    _require(raw.isascii() and raw.isdigit() and 1 <= int(raw) <= 5000)
    return int(raw)


def _data_key(raw: str) -> Mapping[int, bytes]:
    """base64 of exactly 32 random bytes (for example: openssl rand -base64 32)"""
    # While it is changed: ID:NEW,ID:OLD (docs/operations/key-rotation.md).
    keys: dict[int, bytes] = {}
    for each in raw.split(","):
        before, colon, encoded = each.strip().rpartition(":")
        _require(not colon or (before.isascii() and before.isdigit() and 1 <= int(before) <= 255))
        key_id, key = int(before or 1), base64.b64decode(encoded, validate=True)
        _require(len(key) == 32 and key_id not in keys)
        keys[key_id] = key
    return keys


def _port(raw: str) -> int:
    """a port number, 1 to 65535"""
    _require(raw.isascii() and raw.isdigit() and 1 <= int(raw) <= 65535)
    return int(raw)


def _host(raw: str) -> str:
    """a host name or address to listen on"""
    _require(re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", raw) is not None)
    return raw


def _slug(raw: str) -> str:
    """lower-case letters, digits and hyphens, at most 64"""
    _require(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", raw) is not None)
    return raw


def _secret(raw: str) -> str:
    """printable ASCII without spaces, 1 to 512 characters"""
    _require(re.fullmatch(r"[!-~]{1,512}", raw) is not None)
    return raw


def _account_sid(raw: str) -> str:
    """a Twilio account sid: AC and 32 hexadecimal digits"""
    _require(re.fullmatch(r"AC[0-9a-fA-F]{32}", raw) is not None)
    return raw


def _http_url(raw: str) -> str:
    """an http:// or https:// address without query"""
    parts = urlsplit(raw)
    _require(parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment)
    return raw.rstrip("/")


def _webhook_url(raw: str) -> str:
    """an http:// or https:// address; a query is part of it"""
    parts = urlsplit(raw)
    _require(parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment)
    return raw


def _level(raw: str) -> Literal["debug", "info", "warning", "error"]:
    """debug, info, warning or error"""
    levels: tuple[Literal["debug", "info", "warning", "error"], ...] = ("debug", "info", "warning", "error")
    _require(raw in levels)
    return levels[levels.index(raw)]


def _existing_file(raw: str) -> Path:
    """the path of an existing clock page (made by `steadypath up --fast-forward`)"""
    path = Path(raw)
    _require(path.is_file() and path.stat().st_size >= 8)
    return path
