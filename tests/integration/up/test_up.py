"""`steadypath up` from outside: from nothing to ready, killed in every way, stopped, started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.events.registry import SERVICES
from tests.support.stack import PARTS, ROOT, Up, descendants, up, wait_until_gone
from tests.support.waiting import wait_until

BACK_AT_WORK_WITHIN = 15.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("up") / "data", "--sample", "--fast-forward") as started:
        yield started


def refused(*arguments: str, state: Path) -> str:
    """The one line that a refused command says; fails unless it is one line and exit code 1."""
    done = subprocess.run(
        [sys.executable, "-m", "steadypath", *arguments],
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def texts(running: Up) -> dict[str, list[object]]:
    """By number: what the phones show."""
    return {thread["number"]: thread["messages"] for thread in running.call("GET", "/phone/threads").body if thread["messages"]}


def test_one_line_of_json_says_where_everything_is(running: Up) -> None:
    assert set(running.facts) == {"origin", "board", "phone", "docs", "key", "kafka", "database"}
    assert re.fullmatch(r"127\.0\.0\.1:\d+", running.facts["kafka"])
    assert running.facts["database"].startswith("postgresql://")
    for path in ("/", "/phone", "/board", "/readyz", *(f"/{service}/openapi.json" for service in SERVICES)):
        assert running.call("GET", path).status == 200, path


def test_every_part_is_a_descendant_with_its_name_in_its_command_line(running: Up) -> None:
    assert {part for part in PARTS if running.pid_of(part) is None} == set()


def test_the_provider_s_paths_lead_to_the_simulator_which_wants_its_login(running: Up) -> None:
    assert running.call("GET", "/2010-04-01/Accounts/AC00/Messages.json", keyed=False).status == 401


def test_services_want_a_key_and_take_the_one_that_up_printed(running: Up) -> None:
    assert running.call("GET", "/adherence/alerts?state=open", keyed=False).status == 401
    assert running.call("GET", "/adherence/alerts?state=open").status == 200


def test_phones_and_clock_answer_pages_of_this_machine_only(running: Up) -> None:
    assert running.call("GET", "/clock", keyed=False, Host="attacker.example").status == 403
    assert running.call("POST", "/clock/advance", {"next": True}, keyed=False, Origin="https://attacker.example").status == 403


def test_key_and_data_can_be_read_by_their_owner_only(running: Up) -> None:
    state = running.data.parent / "state" / "steadypath"
    secrets = [*state.iterdir(), *(running.data / "keys").iterdir(), running.data / "postgres" / "owner.password"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (state, running.data)} == {0o700}


def test_a_command_given_the_origin_finds_the_key(running: Up) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "steadypath", "doctor", "--url", running.origin],
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(running.data.parent / "state")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done


def test_one_folder_has_one_owner(running: Up, tmp_path: Path) -> None:
    assert "one folder, one owner" in refused("up", "--data", str(running.data), "--port", "1", "--fast-forward", state=tmp_path)


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} is taken" in refused("up", "--data", str(tmp_path / "data"), "--port", port, state=tmp_path)


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    said = refused("up", "--data", str(tmp_path), "--port", "1", state=tmp_path / "state")
    assert "holds other things" in said
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("arguments", [("up", "--prot", "1"), ("up", "--port", "80000"), ("nonsense",), ()], ids=str)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...]) -> None:
    done = subprocess.run([sys.executable, "-m", "steadypath", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_a_part_killed_is_back_at_work_within_15_seconds(running: Up, part: str) -> None:
    before = running.kill(part)
    wait_until(lambda: running.pid_of(part) not in (None, before), within=BACK_AT_WORK_WITHIN, what=f"{part} runs again")
    wait_until(running.ready, within=BACK_AT_WORK_WITHIN, what=f"everything is ready again after {part} was killed")
    assert running.advance(by="PT1S").status == 200


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_and_the_next_start_has_everything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data, "--fast-forward") as first:
        assert first.advance(by="PT1H").status == 200
        stood_at = first.call("GET", "/clock").body["now"]
        started = set(descendants(first.process.pid))
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(10) == 0
        wait_until_gone(started, within=1)
    with up(data, "--fast-forward") as second:
        assert second.facts["key"] == first.facts["key"]
        assert second.call("GET", "/clock").body["now"] == stood_at
        assert second.call("GET", "/adherence/alerts?state=open").status == 200


@pytest.mark.slow
def test_a_killed_launcher_takes_everything_with_it_and_the_next_start_has_everything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data, "--sample", "--fast-forward") as first:
        started = set(descendants(first.process.pid))
        assert first.advance(by="PT24H").status == 200
        before = texts(first)
        assert before, "a day of the sample clinic has texts"
        first.process.kill()
        first.process.wait(5)
        with up(data, "--sample", "--fast-forward") as second:
            wait_until_gone(started, within=15)
            assert texts(second) == before
            assert second.advance(by="PT1S").status == 200
            assert texts(second) == before, "nothing is sent again"


def test_a_folder_of_simulated_time_never_runs_on_real_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "clock").write_bytes(bytes(8))
    assert "--fast-forward" in refused("up", "--data", str(data), "--port", "1", state=tmp_path)
