"""Settings: what is missing or bad is said in one line that names the variable, never its value."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from shared.settings import Settings, SettingsError

ROOT = Path(__file__).resolve().parents[3]
GOOD = {
    "STEADYPATH_DATABASE_URL": "postgresql://user:secret-canary@db:5432/steadypath",
    "STEADYPATH_KAFKA_BOOTSTRAP": "kafka-1:9092,kafka-2:9092",
    "STEADYPATH_DATA_KEY": base64.b64encode(b"x" * 32).decode(),
}


def test_what_is_needed_is_enough() -> None:
    settings = Settings.from_env("notifier", "web", GOOD)
    assert settings.database_url == "postgresql+asyncpg://user:secret-canary@db:5432/steadypath"
    assert (settings.service, settings.role, settings.clinic, settings.port) == ("notifier", "web", "clinic", 8080)
    assert settings.twilio_api_base == "https://api.twilio.com"
    assert not settings.simulated


def test_no_secret_shows() -> None:
    settings = Settings.from_env(
        "notifier", env={**GOOD, "STEADYPATH_KEY": "key-canary", "STEADYPATH_TWILIO_AUTH_TOKEN": "t-canary"}
    )
    assert "canary" not in repr(settings)
    assert "xxxx" not in repr(settings)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_each_is_named_when_it_is_missing(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: is needed"):
        Settings.from_env("notifier", env={key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STEADYPATH_DATABASE_URL", "mysql://canary"),
        ("STEADYPATH_DATABASE_URL", "canary"),
        ("STEADYPATH_KAFKA_BOOTSTRAP", "canary"),
        ("STEADYPATH_KAFKA_BOOTSTRAP", "canary:0"),
        ("STEADYPATH_KAFKA_BOOTSTRAP", "http://canary:9092"),
        ("STEADYPATH_DATA_KEY", "canary"),
        ("STEADYPATH_DATA_KEY", base64.b64encode(b"canary" * 5).decode()),
        ("STEADYPATH_PORT", "canary"),
        ("STEADYPATH_PORT", "65536"),
        ("STEADYPATH_PORT", "²"),
        ("STEADYPATH_HOST", "canary host"),
        ("STEADYPATH_CLINIC", "Canary Clinic"),
        ("STEADYPATH_KEY", "canary key"),
        ("STEADYPATH_CLOCK_PAGE", "/canary/none"),
        ("STEADYPATH_TWILIO_ACCOUNT_SID", "canary"),
        ("STEADYPATH_TWILIO_API_BASE", "canary.example"),
        ("STEADYPATH_PUBLIC_BASE_URL", "https://canary.example?x=1"),
        ("STEADYPATH_OPS_WEBHOOK_URL", "ftp://canary"),
        ("STEADYPATH_OPS_SMTP_HOST", "smtp://canary"),
        ("STEADYPATH_LOG_LEVEL", "canary"),
    ],
)
def test_a_bad_value_is_refused_and_not_quoted(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env("notifier", env={**GOOD, name: value})
    assert str(refused.value).startswith(f"{name}: not accepted; ")
    assert "anary" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_secret_may_come_as_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from-a-file\n")
    assert Settings.from_env("notifier", env={**GOOD, "STEADYPATH_KEY_FILE": str(secret)}).key == "from-a-file"
    both = {**GOOD, "STEADYPATH_KEY_FILE": str(secret), "STEADYPATH_KEY": "direct"}
    assert Settings.from_env("notifier", env=both).key == "direct"
    with pytest.raises(SettingsError, match="STEADYPATH_KEY_FILE"):
        Settings.from_env("notifier", env={**GOOD, "STEADYPATH_KEY_FILE": str(tmp_path / "none")})


def test_the_brokers_address_is_read_again(tmp_path: Path) -> None:
    """An embedded broker that was restarted has a new port."""
    file = tmp_path / "bootstrap"
    file.write_text("127.0.0.1:1111")
    env = {**GOOD, "STEADYPATH_KAFKA_BOOTSTRAP": "", "STEADYPATH_KAFKA_BOOTSTRAP_FILE": str(file)}
    settings = Settings.from_env("notifier", env=env)
    assert settings.current_kafka_bootstrap() == "127.0.0.1:1111"
    file.write_text("127.0.0.1:2222\n")
    assert settings.current_kafka_bootstrap() == "127.0.0.1:2222"
    file.write_text("")
    assert settings.current_kafka_bootstrap() == "127.0.0.1:1111"


def _named_in_code() -> set[str]:
    folders = ("shared", "services", "steadypath", "bin", "deploy")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files += [*ROOT.glob("*compose*.yml"), ROOT / "Dockerfile"]
    text = "\n".join(path.read_text("utf-8", "ignore") for path in files if "__pycache__" not in path.parts)
    used = set(re.findall(r"STEADYPATH_[A-Z][A-Z_]*[A-Z]", text))
    readers = "".join((ROOT / "shared" / name).read_text("utf-8") for name in ("settings.py", "mail_settings.py"))
    read = set(re.findall(r'read\.\w+\("([A-Z_]+)"', readers))
    return used | {f"STEADYPATH_{name}" for name in read}


#: Not settings: a namespace constant, the placeholder of a docstring, the beginning that doctor puts names together from.
_OTHER = {"STEADYPATH_NAMESPACE", "STEADYPATH_X", "STEADYPATH_OPS_SMTP"}


def test_every_setting_is_listed_with_a_line_of_explanation() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    listed = {
        match.group(1): index for index, line in enumerate(lines) if (match := re.match(r"#?\s?(STEADYPATH_[A-Z_]+)=", line))
    }
    assert all(lines[index - 1].startswith("# ") for index in listed.values())
    named = {name.removesuffix("_FILE") for name in _named_in_code()} - _OTHER
    assert named - listed.keys() == set(), "add to .env.example"
    assert listed.keys() - named == set(), "nothing reads this"


MAIL = {
    **GOOD,
    "STEADYPATH_OPS_SMTP_HOST": "mail.clinic.example",
    "STEADYPATH_OPS_SMTP_FROM": "steadypath@clinic.example",
    "STEADYPATH_OPS_SMTP_TO": "ops@clinic.example, on-call@clinic.example",
}


def test_ops_mail_is_encrypted_unless_told_otherwise() -> None:
    assert Settings.from_env("notifier", env=GOOD).ops_mail is None
    mail = Settings.from_env("notifier", env=MAIL).ops_mail
    assert mail is not None
    assert (mail.host, mail.port, mail.encryption, mail.user) == ("mail.clinic.example", 587, "starttls", None)
    assert mail.recipients == ("ops@clinic.example", "on-call@clinic.example")
    plain = Settings.from_env("notifier", env={**MAIL, "STEADYPATH_OPS_SMTP_TLS": "none"}).ops_mail
    assert plain is not None
    assert (plain.encryption, plain.port) == ("none", 25)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"FROM": ""}, "^STEADYPATH_OPS_SMTP_FROM: is needed"),
        ({"TO": ""}, "^STEADYPATH_OPS_SMTP_TO: is needed"),
        ({"TO": "ops@clinic.example,canary"}, "^STEADYPATH_OPS_SMTP_TO: not accepted; e-mail addresses"),
        ({"FROM": "canary\n@x"}, "^STEADYPATH_OPS_SMTP_FROM: not accepted"),
        ({"TLS": "ssl-canary"}, "^STEADYPATH_OPS_SMTP_TLS: not accepted; starttls, tls or none"),
        ({"USER": "ops"}, "^STEADYPATH_OPS_SMTP_PASSWORD: is needed"),
        ({"USER": "ops", "PASSWORD": "canary", "TLS": "none"}, "^STEADYPATH_OPS_SMTP_TLS: .*never goes in the clear"),
        ({"CA": "canary"}, "^STEADYPATH_OPS_SMTP_CA: not accepted; certificates in PEM"),
        ({"PORT": "0"}, "^STEADYPATH_OPS_SMTP_PORT: not accepted"),
    ],
)
def test_a_mail_setting_that_cannot_work_is_named(change: dict[str, str], said: str) -> None:
    env = {**MAIL, **{f"STEADYPATH_OPS_SMTP_{name}": value for name, value in change.items()}}
    with pytest.raises(SettingsError, match=said) as refused:
        Settings.from_env("notifier", env=env)
    assert "canary" not in str(refused.value)


def test_what_one_service_cannot_do_without_is_named() -> None:
    settings = Settings.from_env("notifier", env={**GOOD, "STEADYPATH_TWILIO_ACCOUNT_SID": "AC" + "a" * 32})
    settings.need("twilio_account_sid")
    with pytest.raises(SettingsError, match=r"^STEADYPATH_TWILIO_AUTH_TOKEN: is needed by the notifier"):
        settings.need("twilio_account_sid", "twilio_auth_token")


def test_a_data_key_that_is_being_changed_is_two_of_which_the_first_seals() -> None:
    new, old = (base64.b64encode(letter * 32).decode() for letter in (b"n", b"o"))
    settings = Settings.from_env("notifier", env={**GOOD, "STEADYPATH_DATA_KEY": f"2:{new},{old}"})
    assert list(settings.data_key.items()) == [(2, b"n" * 32), (1, b"o" * 32)]
    for bad in (f"{new},{old}", f"0:{new}", f"256:{new}", f"2:{new},", f"x:{new}"):
        with pytest.raises(SettingsError, match="STEADYPATH_DATA_KEY"):
            Settings.from_env("notifier", env={**GOOD, "STEADYPATH_DATA_KEY": bad})
