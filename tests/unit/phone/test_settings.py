"""The simulator reads the same variables as the services beside it, in the same order of preference."""

from __future__ import annotations

from pathlib import Path

from steadypath.phone.settings import PhoneSettings


def test_a_secret_may_come_as_a_file_and_a_value_goes_before_it(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("from-a-file\n")
    env = {"STEADYPATH_TWILIO_AUTH_TOKEN_FILE": str(secret), "STEADYPATH_TWILIO_AUTH_TOKEN": ""}
    assert PhoneSettings.from_env(env).auth_token == "from-a-file"
    assert PhoneSettings.from_env({**env, "STEADYPATH_TWILIO_AUTH_TOKEN": "given"}).auth_token == "given"


def test_its_own_port_goes_before_the_common_one_and_the_origin_defaults_to_the_public_address() -> None:
    env = {"STEADYPATH_PORT": "1111", "STEADYPATH_PUBLIC_BASE_URL": "http://127.0.0.1:8470/"}
    settings = PhoneSettings.from_env(env)
    assert (settings.port, settings.host, settings.origin) == (1111, "127.0.0.1", "http://127.0.0.1:8470")
    assert PhoneSettings.from_env({**env, "STEADYPATH_PHONE_PORT": "2222"}).port == 2222


def test_no_secret_shows_in_its_repr() -> None:
    shown = repr(PhoneSettings(auth_token="hidden-1", key="hidden-2", api_keys={"SK": "hidden-3"}))
    assert "hidden" not in shown
