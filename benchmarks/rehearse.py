"""How long a rehearsal takes: `python -m benchmarks.rehearse [--weeks 12] [--patients 1 20]`.

Runs `steadypath rehearse` as a user would, on the sample plan (one medicine that climbs, a check-in every other day, a follow-up;
nobody answers, so alerts are raised and escalate), and prints start-up and days apart, with the work done: texts, Kafka records,
transactions. Machines are shared, so each figure stands beside a yardstick of the same run: what a fixed piece of pure Python
took just before and just after.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PLAN = ROOT / "examples" / "titration.yaml"


def plans(count: int) -> dict[str, Any]:
    """The example's file with so many patients of its one plan, in four zones."""
    content: dict[str, Any] = yaml.safe_load(PLAN.read_text("utf-8"))
    one = content["patients"][0]
    zones = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
    content["patients"] = [
        one | {"id": f"maya-{number}", "phone": f"+1202555{1000 + number}", "zone": zones[number % 4]} for number in range(count)
    ]
    return content


def yardstick() -> float:
    """Seconds that a fixed piece of pure Python takes on this machine now."""
    begun = time.perf_counter()
    total = 0
    for number in range(3_000_000):
        total += number & 7
    return time.perf_counter() - begun


def rehearse(file: Path, weeks: int) -> None:
    """One run, measured from outside."""
    command = [
        sys.executable,
        "-m",
        "steadypath",
        "rehearse",
        str(file),
        "--weeks",
        str(weeks),
        "--start",
        "2027-03-01",
        "--json",
    ]
    before = yardstick()
    begun = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    seconds = time.monotonic() - begun
    after = yardstick()
    if done.returncode != 0:
        raise SystemExit(f"exit {done.returncode}: {done.stderr}")
    texts = [json.loads(line) for line in done.stdout.splitlines()]
    said = ", ".join(f"{name} {count}" for name, count in re.findall(r"(\w+)=(\d+)", done.stderr.splitlines()[-1]))
    started, days = (float(re.findall(rf"{word} in ([\d.]+) s", done.stderr)[0]) for word in ("started", "days"))
    print(f"  exit {done.returncode}, {seconds:.1f} s in all, {len(texts)} texts; {said}")
    print(f"  start-up {started:.1f} s; {7 * weeks} days {days:.1f} s = {days / before:.0f} yardsticks")
    print(f"  a yardstick took {before:.2f} s before, {after:.2f} s after")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--patients", type=int, nargs="+", default=[1, 20])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.patients:
            file = Path(folder) / f"{count}.json"
            file.write_text(json.dumps(plans(count), default=str), "utf-8")
            print(f"{count} patients, {arguments.weeks} weeks")
            rehearse(file, arguments.weeks)


if __name__ == "__main__":
    main()
