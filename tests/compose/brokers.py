"""`python -m tests.compose.brokers`: compose.cluster.yml, the loop run through it, one of three brokers killed in mid-wave.

By hand, not part of `make test-stack`: it takes a machine with room for three brokers and six services. What it showed, and when,
stands in docs/operations/compose.md.
"""

from __future__ import annotations

import secrets
import sys
from datetime import timedelta

import httpx

from shared.clock import machine_now
from tests.compose import groups, loop
from tests.compose.cohort import Cohort, minutes_from
from tests.compose.judge import judge
from tests.compose.loop import Run
from tests.compose.project import Container, StackError, client, enrol, project, run
from tests.compose.prove import BASE, DEMO, say
from tests.support.waiting import wait_until

_FILES = (BASE, DEMO, "compose.cluster.yml")
_REPLICAS = 2
_PATIENTS = 150


def main() -> int:
    key = "spk_proof_" + secrets.token_hex(16)
    settings = {"STEADYPATH_LISTEN": "127.0.0.1:0", "STEADYPATH_IMAGE": "steadypath:proof", "STEADYPATH_KEY": key}
    try:
        with project(f"steadypath-cluster-{secrets.token_hex(3)}", _FILES, settings) as stack:
            stack.up("--wait")
            for one in stack.containers():
                say(f"    {one.id[:12]}  {one.name:<44} {one.image}")
            with client(stack, key, authority=None) as http:
                waves = minutes_from(machine_now(), timedelta(seconds=90), waves=3, apart=loop.APART)
                cohort = Cohort("brokers", _PATIENTS, waves)
                enrol(stack, key, cohort.file(), authority=None)
                _steps(Run(stack, http, cohort, say))
    except (StackError, AssertionError, httpx.HTTPError) as error:
        say(f"FAILED: {type(error).__name__}: {error}")
        return 1
    return 0


def _steps(run_: Run) -> None:
    stack = run_.stack
    survivor, victim = stack.containers("kafka")[0], stack.containers("kafka-2")[0]
    say(f"brokers of the topics before:\n{_topics(run_, survivor)}")
    wait_until(lambda: _shared(run_), within=90, what="two notifiers share the partitions")
    loop.welcomed(run_)
    loop.wave(run_, 0)
    _kill_in_mid_wave(run_, victim)
    loop.wave(run_, 1)
    say(f"brokers of the topics with one broker dead:\n{_topics(run_, survivor)}")
    loop.answer(run_, run_.cohort.of_wave(1)[: loop.ANSWERING])
    loop.wave(run_, 2)
    run(["docker", "start", victim.id])
    wait_until(lambda: not _under_replicated(run_, survivor), within=120, what="the broker that came back has caught up")
    say("the dead broker started again: every partition is on three brokers")
    loop.final_count(run_)


def _kill_in_mid_wave(run_: Run, victim: Container) -> None:
    wave = run_.cohort.of_wave(1)
    wait_until(
        lambda: len(judge(wave, run_.ledger()).once) >= _PATIENTS // 10, within=240, what="the first tenth of wave 1 is out"
    )
    run(["docker", "kill", "--signal", "KILL", victim.id])
    out = len(judge(wave, run_.ledger()).once)
    say(f"killed (SIGKILL) {victim.id[:12]} {victim.name}: {out} of {_PATIENTS} texts of wave 1 were out")


def _shared(run_: Run) -> bool:
    members = groups.members(run_.stack, run_.stack.containers("kafka")[0], loop.GROUP)
    owned = [partition for member in members for partition in member.partitions]
    return len(members) == _REPLICAS and len(owned) == len(set(owned)) == loop.PARTITIONS


def _topics(run_: Run, broker: Container) -> str:
    said = groups.tool(run_.stack, broker, "kafka-topics.sh", "--describe")
    return "\n".join(f"    {line.strip()}" for line in said.splitlines() if "Topic: due.v1" in line)


def _under_replicated(run_: Run, broker: Container) -> str:
    return groups.tool(run_.stack, broker, "kafka-topics.sh", "--describe", "--under-replicated-partitions").strip()


if __name__ == "__main__":
    sys.exit(main())
