"""`make test-stack`: the compose stack on this machine's Docker engine, point by point, each as an operator would see it.

1. Every compose file parses on top of docker-compose.yml.
2. Without credentials all is healthy but the notifier, which says what it lacks; what runs is as locked up as the file says.
3. With compose.demo.yml and no `.env` it comes up whole; `doctor` inside has nothing to fix but the ops channel, unset.
4. With a copy of `.env.example`, TLS on and three notifiers: the loop, one of them killed in mid-wave (`tests.compose.loop`).

Exit 0 when all of it held. Containers, networks and volumes are removed whatever happens; the image stays.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import httpx

from tests.compose import loop
from tests.compose.project import Container, Project, StackError, client, project, run
from tests.support.stack import ROOT
from tests.support.waiting import wait_until

BASE, DEMO = "docker-compose.yml", "compose.demo.yml"
OURS = ("scheduler", "notifier", "adherence")
_HEALTHY = ("postgres", "kafka", "scheduler", "adherence", "origin")
_LOCKS = "{{with .HostConfig}}{{.ReadonlyRootfs}} {{.CapDrop}} {{.CapAdd}} {{.Memory}}{{end}} {{.Config.User}}"
_JOBS = ("secrets", "topics", "migrate")


def main() -> int:
    name = f"steadypath-proof-{secrets.token_hex(3)}"
    settings = {
        "STEADYPATH_LISTEN": "127.0.0.1:0",
        "STEADYPATH_IMAGE": "steadypath:proof",
        "STEADYPATH_KEY": "spk_proof_" + secrets.token_hex(16),
    }
    try:
        every_file_parses()
        with project(name, [BASE], settings) as stack:
            without_credentials(stack)
            with_nothing_set(Project(name, [BASE, DEMO], settings))
        example = str(ROOT / ".env.example")
        with project(name, [BASE, DEMO], settings | {"STEADYPATH_SITE_ADDRESS": "https://localhost"}, example) as stack:
            loop.prove(stack, settings["STEADYPATH_KEY"], say)
    except (StackError, AssertionError, httpx.HTTPError) as error:
        say(f"FAILED: {type(error).__name__}: {error}")
        return 1
    say("The stack is proven: brought up, the loop run, a notifier killed, nothing twice, nothing lost. Containers are removed.")
    return 0


def say(line: str) -> None:
    print(line, flush=True)


def every_file_parses() -> None:
    found = sorted(path.name for path in ROOT.glob("compose.*.yml"))
    assert DEMO in found
    for file in found:
        run(["docker", "compose", "-f", BASE, "-f", file, "config", "--quiet"])
    say(f"parse on top of {BASE}: {', '.join(found)}")


def without_credentials(stack: Project) -> None:
    stack.up()
    wait_until(lambda: _all_healthy(stack), within=180, what=f"healthy: {', '.join(_HEALTHY)}")
    for job in _JOBS:
        states = [one.state for one in stack.containers(job, all_states=True)]
        assert states == ["exited"], f"{job}: {states}"
    log = wait_until(lambda: stack.compose("logs", "--no-color", "notifier"), within=30, what="the notifier says something")
    assert "STEADYPATH_TWILIO_ACCOUNT_SID: is needed by the notifier" in log, log[-500:]
    with client(stack, "none", authority=None) as http:
        assert http.get("/readyz").status_code != 200, "ready, though no text can leave"
        assert http.get("/phone").status_code == 404, "the phones are the demo's alone"
        assert http.get("/board").status_code == 200
    locked_up(stack)
    say(
        "without credentials: healthy are "
        + ", ".join(_HEALTHY)
        + "; the notifier says that STEADYPATH_TWILIO_ACCOUNT_SID is not set"
    )


def _all_healthy(stack: Project) -> bool:
    return all([one.health for one in stack.containers(service)] == ["healthy"] for service in _HEALTHY)


def locked_up(stack: Project) -> None:
    """What the engine says of the running containers, not what the file asks for."""
    for service in OURS:
        for one in stack.containers(service, all_states=True):
            facts = _inspect(one, _LOCKS)
            assert facts == "true [ALL] [] 536870912 steadypath", f"{one.name}: {facts}"
    for one in stack.containers():
        published = _inspect(one, "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}").split()
        assert published == (["127.0.0.1"] if "origin" in one.name else []), f"{one.name} is published on {published}"
    database = stack.containers("postgres")[0]
    roles = stack.inside(
        database,
        "psql",
        "-U",
        "postgres",
        "-d",
        "steadypath",
        "-Atc",
        "select rolname, rolconfig from pg_roles where rolname like 'steadypath%'",
    )
    for service in OURS:
        assert f"steadypath_{service}|{{transaction_timeout=30s,idle_in_transaction_session_timeout=10s," in roles, roles


def _inspect(one: Container, wanted: str) -> str:
    return run(["docker", "inspect", "--format", wanted, one.id]).strip()


def with_nothing_set(stack: Project) -> None:
    stack.up("--wait")
    said = stack.compose("exec", "-T", "notifier", "python", "-m", "steadypath", "doctor", check=False)
    wrong = [line for line in said.splitlines() if not line.startswith("ok ") and "ops channel" not in line]
    assert not wrong, said
    assert said.count("ok  ") >= 5, said
    with client(stack, stack.settings["STEADYPATH_KEY"], authority=None) as http:
        assert http.get("/readyz").status_code == 200
        assert http.get("/adherence/alerts?state=open").status_code == 200, "the key that was set is not taken"
        people = {thread["who"]["role"] for thread in http.get("/phone/threads").json()}
    assert people == {"patient", "care-team"}, people
    say("with compose.demo.yml and no .env: up --wait returned 0; doctor inside:")
    say("\n".join(f"    {line}" for line in said.splitlines()))


if __name__ == "__main__":
    if not Path("/var/run/docker.sock").exists() and not run(["docker", "version"], check=False):
        say("no Docker engine answers here")
        sys.exit(1)
    sys.exit(main())
