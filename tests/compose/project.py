"""One compose project of our own: brought up, asked, broken on purpose, and removed with everything it made."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.stack import ROOT

_UP_WITHIN_SECONDS = 420


class StackError(Exception):
    """A command of the stack failed; says which, and the end of what it said."""


@dataclass(frozen=True)
class Container:
    """`address` is where it stands in the stack's network."""

    id: str
    name: str
    image: str
    state: str
    health: str
    address: str


@dataclass
class Project:
    """`files` on top of each other; `settings` as an operator would export them, over `env_file`."""

    name: str
    files: Sequence[str]
    settings: Mapping[str, str]
    env_file: str = os.devnull

    def compose(self, *arguments: str, within: float = 120, check: bool = True) -> str:
        options = ["--project-name", self.name, "--env-file", self.env_file]
        for file in self.files:
            options += ["-f", file]
        return run(["docker", "compose", *options, *arguments], within=within, check=check, settings=self.settings)

    def up(self, *options: str) -> None:
        """Raises StackError where it does not come up, with what the parts said last."""
        try:
            self.compose("up", "-d", "--build", *options, within=_UP_WITHIN_SECONDS)
        except StackError as error:
            logs = self.compose("logs", "--no-color", "--tail", "15", check=False)
            raise StackError(f"{error}\n{logs}") from None

    def containers(self, service: str = "", *, all_states: bool = False) -> list[Container]:
        """In the order of their names."""
        wanted = ["--all"] if all_states else []
        ids = self.compose("ps", "-q", *wanted, *([service] if service else [])).split()
        if not ids:
            return []
        facts: list[dict[str, Any]] = json.loads(run(["docker", "inspect", *ids]))
        return sorted((_container(one) for one in facts), key=lambda found: found.name)

    def inside(self, container: Container, *command: str, within: float = 60, check: bool = True, given: str = "") -> str:
        """`given` is what the command reads from its standard input."""
        return run(["docker", "exec", "--interactive", container.id, *command], within=within, check=check, given=given)

    def origin(self, *, tls: bool) -> str:
        """Where the origin is published."""
        address = self.compose("port", "origin", "8470").strip()
        return f"https://localhost:{address.rpartition(':')[2]}" if tls else f"http://{address}"

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--no-log-prefix")

    def remove(self) -> None:
        """Containers, networks, volumes: what this project made, and nothing else."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10", within=180)


def _container(facts: Mapping[str, Any]) -> Container:
    state = facts["State"]
    networks = facts["NetworkSettings"]["Networks"].values()
    address = next((network["IPAddress"] for network in networks if network["IPAddress"]), "")
    health = state.get("Health", {}).get("Status", "")
    return Container(facts["Id"], facts["Name"].lstrip("/"), facts["Config"]["Image"], state["Status"], health, address)


@contextmanager
def project(name: str, files: Sequence[str], settings: Mapping[str, str], env_file: str = os.devnull) -> Iterator[Project]:
    """Removed at the end, whatever happened; and first, where an earlier run was ended before it could."""
    found = Project(name, files, settings, env_file)
    found.remove()
    try:
        yield found
    finally:
        found.remove()


@contextmanager
def client(stack: Project, key: str, *, authority: str | None) -> Iterator[httpx.Client]:
    """The clinic's HTTP client. `authority`: the certificate (PEM) that the origin's must stem from, where it speaks TLS."""
    verify = ssl.create_default_context(cadata=authority) if authority else True
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=stack.origin(tls=bool(authority)), headers=headers, timeout=60, verify=verify) as found:
        yield found


def enrol(stack: Project, key: str, content: str, *, authority: str | None) -> None:
    """`steadypath enrol` from outside, as a clinic does it. Raises StackError where a row is refused."""
    with tempfile.TemporaryDirectory() as folder:
        plans, pem = Path(folder) / "plans.json", Path(folder) / "root.pem"
        plans.write_text(content, "utf-8")
        settings = {"STEADYPATH_KEY": key}
        if authority:
            pem.write_text(authority, "ascii")
            settings["SSL_CERT_FILE"] = str(pem)
        origin = stack.origin(tls=bool(authority))
        settings["PYTHONPATH"] = str(ROOT)
        run([sys.executable, "-m", "steadypath", "enrol", "--url", origin, str(plans)], within=180, settings=settings)


def run(
    command: Sequence[str], *, within: float = 60, check: bool = True, settings: Mapping[str, str] | None = None, given: str = ""
) -> str:
    """Standard output. Raises StackError on another exit code than 0, and after `within` seconds."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STEADYPATH_")}
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=inherited | dict(settings or {}),
            input=given,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(f"{' '.join(command[:9])} ...: no end within {within:g} s") from None
    if check and done.returncode != 0:
        raise StackError(f"{' '.join(command)}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout
