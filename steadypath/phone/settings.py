"""What the simulator needs to know, from the same STEADYPATH_* variables as the services it stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.clock import Clock, ClockPage, SystemClock

DEMO_ACCOUNT = "AC" + "0" * 31 + "1"
DEMO_ORIGIN = "http://127.0.0.1:8080"
DEMO_TOKEN = "demo-auth-token"  # noqa: S105  the simulator's own, worth nothing outside it


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """`public_base` is where the provider reaches our webhooks and what is signed; `webhook_base`, where it differs
    (containers), is where the request is sent. `origin` and `key` are for the notifier's public API."""

    account_sid: str = DEMO_ACCOUNT
    auth_token: str = field(default=DEMO_TOKEN, repr=False)
    api_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    public_base: str = DEMO_ORIGIN
    webhook_base: str | None = None
    origin: str = DEMO_ORIGIN
    key: str = field(default="", repr=False)
    ledger: Path = Path("phone-ledger.sqlite")
    clock_page: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8090
    service_number: str = "+15005550006"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> PhoneSettings:
        """Reads STEADYPATH_*; a secret may come as NAME_FILE. Raises ValueError where a port is no number."""
        key_sid, key_secret = _text(env, "TWILIO_API_KEY_SID"), _text(env, "TWILIO_API_KEY_SECRET")
        clock_page = _text(env, "CLOCK_PAGE")
        public = (_text(env, "PUBLIC_BASE_URL") or DEMO_ORIGIN).rstrip("/")
        return cls(
            account_sid=_text(env, "TWILIO_ACCOUNT_SID") or DEMO_ACCOUNT,
            auth_token=_text(env, "TWILIO_AUTH_TOKEN") or DEMO_TOKEN,
            api_keys={key_sid: key_secret} if key_sid and key_secret else {},
            public_base=public,
            webhook_base=_text(env, "PHONE_WEBHOOK_BASE") or None,
            origin=(_text(env, "ORIGIN") or public).rstrip("/"),
            key=_text(env, "KEY"),
            ledger=Path(_text(env, "PHONE_LEDGER") or "phone-ledger.sqlite"),
            clock_page=Path(clock_page) if clock_page else None,
            host=_text(env, "PHONE_HOST") or _text(env, "HOST") or "127.0.0.1",
            port=int(_text(env, "PHONE_PORT") or _text(env, "PORT") or "8090"),
            service_number=_text(env, "PHONE_SERVICE_NUMBER") or "+15005550006",
        )


def clock_of(settings: PhoneSettings) -> Clock:
    """Clinical time: the stack's shared page where there is one, else real time."""
    return ClockPage(settings.clock_page) if settings.clock_page else SystemClock()


def _text(env: Mapping[str, str], name: str) -> str:
    """The variable itself, else the file that NAME_FILE names: the same order as shared/settings.py."""
    direct = env.get(f"STEADYPATH_{name}", "")
    file = env.get(f"STEADYPATH_{name}_FILE", "")
    return Path(file).read_text(encoding="utf-8").strip() if file and not direct else direct
