"""How long it takes to put a clinic in: `python -m benchmarks.enrol [--patients 10000] [--yaml] [--again]`.

Starts a fresh embedded system, makes synthetic patients (contact, consent, care team, a plan with one medicine), and runs
`steadypath enrol` on them as a user would. Printed apart: seconds, rows a second, the command's peak memory, and how long
the services' consumers then needed to catch up (they work meanwhile, on the same cores).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_SAMPLED = 40
_PATIENCE = 900.0


def patients(count: int) -> dict[str, Any]:
    """A file of the native format. Names and numbers are made up (555-01xx is kept free; the rest of each number counts)."""
    people = [
        {"id": f"dr-{one}", "name": f"Doctor {one}", "phone": f"+1202555010{one}", "roles": ["prescriber"]} for one in range(5)
    ]
    return {"steadypath": 1, "people": people, "patients": [_patient(number) for number in range(count)]}


def _patient(number: int) -> dict[str, Any]:
    area = 200 + number // 10_000
    times = {"morning": f"{7 + number % 3:02d}:{number % 4 * 15:02d}"}
    dose = {"slot": "morning", "quantity": str(1 + number % 3), "unit": "tablet"}
    return {
        "id": f"bench-{number}",
        "name": f"Patient {number}",
        "phone": f"+1{area}555{number % 10_000:04d}",
        "zone": ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")[number % 4],
        "consent": {"given_on": "2026-01-05", "how": "signed form", "to_whom": "front desk"},
        "care_team": [{"person": f"dr-{number % 5}", "wait": "PT30M"}],
        "plan": {
            "slots": times,
            "medicines": [{"id": "m1", "label": "your tablet", "steps": [{"from_day": 1, "doses": [dose]}]}],
        },
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def system(folder: Path) -> Iterator[dict[str, Any]]:
    """A fresh embedded system on simulated time: what it prints when it is ready."""
    command = [
        sys.executable,
        "-m",
        "steadypath",
        "up",
        "--data",
        str(folder / "data"),
        "--port",
        str(_free_port()),
        "--fast-forward",
        "--json",
    ]
    env = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            assert process.stdout is not None
            ready: dict[str, Any] = json.loads(process.stdout.readline())
            yield ready
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def enrol(ready: dict[str, Any], file: Path) -> tuple[float, int]:
    """Seconds and rows of one run."""
    command = [sys.executable, "-m", "steadypath", "enrol", str(file), "--json", "--url", ready["origin"], "--key", ready["key"]]
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    seconds = time.monotonic() - begun
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = {word: sum(1 for row in rows if row["outcome"] == word) for word in ("enrolled", "unchanged", "draft", "refused")}
    print(f"  exit {done.returncode}: " + ", ".join(f"{count:,} {word}" for word, count in kinds.items() if count))
    return seconds, len(rows)


def caught_up(ready: dict[str, Any], count: int) -> float:
    """Seconds until notifier and adherence have heard of the plans of a sample that reaches to the last patient."""
    begun = time.monotonic()
    waiting = {f"bench-{number}" for number in range(count - 1, -1, -max(count // _SAMPLED, 1))}
    while waiting and time.monotonic() - begun < _PATIENCE:
        waiting = {one for one in waiting if not _heard(ready, one)}
        time.sleep(0.2)
    if waiting:
        raise SystemExit(f"not caught up after {_PATIENCE:.0f} s")
    return time.monotonic() - begun


def _heard(ready: dict[str, Any], patient: str) -> bool:
    timeline = _get(ready, f"/adherence/patients/{patient}/timeline")
    effective = _get(ready, f"/scheduler/patients/{patient}/effective?version=1")
    return any(event["kind"] == "plan-started" for event in timeline) and bool(effective["confirmed"])


def _get(ready: dict[str, Any], path: str) -> Any:
    request = urllib.request.Request(ready["origin"] + path, headers={"Authorization": f"Bearer {ready['key']}"})  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--yaml", action="store_true", help="the same file as YAML")
    parser.add_argument("--again", action="store_true", help="a second run, which changes nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steadypath-bench-") as name:
        folder = Path(name)
        file = folder / ("clinic.yaml" if arguments.yaml else "clinic.json")
        content = patients(arguments.patients)
        file.write_text(_yaml(content) if arguments.yaml else json.dumps(content), "utf-8")
        with system(folder) as ready:
            _measure(ready, file, arguments.patients, again=arguments.again)


def _yaml(content: dict[str, Any]) -> str:
    import yaml  # noqa: PLC0415  only for --yaml

    return str(yaml.safe_dump(content, sort_keys=False))


def _measure(ready: dict[str, Any], file: Path, count: int, *, again: bool) -> None:
    print(f"{count:,} patients, {file.stat().st_size / 2**20:.1f} MiB, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    seconds, rows = enrol(ready, file)
    print(f"  enrolled in {seconds:.1f} s: {count / seconds:,.0f} patients/s, {rows / seconds:,.0f} rows/s")
    print(f"  consumers caught up {caught_up(ready, count):.1f} s later")
    if again:
        seconds, rows = enrol(ready, file)
        print(f"  again in {seconds:.1f} s: {rows / seconds:,.0f} rows/s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"  peak memory of the command: {peak / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
