"""The loop through the containers, with three notifiers of which one is killed in the middle of a wave of texts.

Doses of some hundred patients fall due at the next whole minutes, real time. Texts go out by whichever notifier has the
partition, phones answer through the origin, adherence hears. The judge is the phone simulator's ledger against what was due.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from shared.clock import machine_now
from shared.defaults import default
from tests.compose import groups
from tests.compose.cohort import Cohort, Due, minutes_from
from tests.compose.groups import Member
from tests.compose.judge import Verdict, fates_of, judge, unaccounted
from tests.compose.project import Container, Project, StackError, client, enrol, run
from tests.simulation.canary import search
from tests.support.waiting import wait_until

GROUP = "steadypath.notifier"
NOTIFIERS = 3
PARTITIONS = 18
#: Several groups for every notifier: the kill must leave texts that nobody has begun.
PATIENTS = 250
ANSWERING = 40
#: A dose text is useful until the next dose: what a killed notifier leaves behind must be taken up by then.
APART = timedelta(minutes=2)
#: A killed consumer is missed after 6 s, its texts under way are in doubt after 12 s: half a minute, a busy machine takes longer.
WAVE_WITHIN_SECONDS = 240
#: Requests that one notifier has under way at most: so many a killed one leaves in doubt.
CONNECTIONS: int = default("notifier", "connections")
#: All that was under way when the provider stood still: where that took too long, the others' requests are in doubt too.
DOUBT_AT_MOST = NOTIFIERS * CONNECTIONS
#: The provider stands still from before a wave is due.
STILL_BEFORE = timedelta(seconds=5)

_METRICS = """
import urllib.request as u
key = open("/run/steadypath/key").read().strip()
print(u.urlopen(u.Request("http://127.0.0.1:8080/metrics", headers={"Authorization": "Bearer " + key})).read().decode())
"""

Say = Callable[[str], None]


@dataclass
class Run:
    """What the steps share."""

    stack: Project
    http: httpx.Client
    cohort: Cohort
    say: Say

    def ledger(self) -> list[dict[str, Any]]:
        answer = self.http.get("/phone/ledger").raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines()]

    def verdict(self, waves: int) -> Verdict:
        return judge([due for due in self.cohort.dues if due.wave < waves], self.ledger())

    def members(self) -> list[Member]:
        return groups.members(self.stack, self.stack.containers("kafka")[0], GROUP)


def prove(stack: Project, key: str, say: Say) -> None:
    """Raises AssertionError or StackError for the first thing that does not hold."""
    stack.up("--wait", "--scale", f"notifier={NOTIFIERS}")
    broker = stack.containers("kafka")[0]
    say(f"with a copy of .env.example and --scale notifier={NOTIFIERS}: up --wait returned 0")
    for one in stack.containers():
        say(f"    {one.id[:12]}  {one.name:<40} {one.image}")
    say(f"broker: Apache Kafka {groups.version(stack, broker)} (the tool in its container)")
    authority = authority_of(stack)
    with client(stack, key, authority=authority) as http:
        assert http.get("/readyz").status_code == 200
        say(f"TLS: {http.base_url} answers with a certificate of the origin's own authority")
        waves = minutes_from(machine_now(), timedelta(seconds=90), waves=3, apart=APART)
        cohort = Cohort("proof", PATIENTS, waves)
        enrol(stack, key, cohort.file(), authority=authority)
        say(f"enrolled {PATIENTS} patients in {cohort.zone}, doses due at {', '.join(f'{at:%H:%M}' for at in waves)} UTC")
        _steps(Run(stack, http, cohort, say))


def authority_of(stack: Project) -> str:
    origin = stack.containers("origin")[0]
    return stack.inside(origin, "cat", "/data/caddy/pki/authorities/local/root.crt")


def _steps(run_: Run) -> None:
    before = wait_until(
        lambda: _shared(run_.members(), NOTIFIERS), within=60, what=f"{NOTIFIERS} notifiers share {PARTITIONS} partitions"
    )
    run_.say(f"partitions of {GROUP} before the kill:\n{groups.shown(before)}")
    welcomed(run_)
    wave(run_, 0)
    answer(run_, run_.cohort.of_wave(0)[:ANSWERING])
    killed = _kill_in_mid_wave(run_, before)
    answer(run_, run_.cohort.of_wave(0)[ANSWERING : 2 * ANSWERING])
    after = wait_until(lambda: _shared(run_.members(), NOTIFIERS - 1), within=60, what="the other two have all partitions")
    assert killed.address not in {member.host for member in after}
    run_.say(f"partitions after the kill:\n{groups.shown(after)}")
    wave(run_, 1)
    wave(run_, 2)
    run(["docker", "start", killed.id])
    again = wait_until(lambda: _shared(run_.members(), NOTIFIERS), within=60, what="the third is back among the others")
    run_.say(f"the killed one started again:\n{groups.shown(again)}")
    final_count(run_)
    _every_replica_was_asked(run_)
    _no_leak(run_)


def _shared(members: list[Member], wanted: int) -> list[Member]:
    """The members, once there are so many, each with some partitions, all partitions with exactly one of them."""
    owned = [partition for member in members for partition in member.partitions]
    whole = (
        len(members) == wanted and len(owned) == len(set(owned)) == PARTITIONS and all(member.partitions for member in members)
    )
    return members if whole else []


def welcomed(run_: Run) -> None:
    """Everybody has the first text, which follows enrolment: what falls due now finds everybody enrolled."""
    numbers = {due.number for due in run_.cohort.dues}

    def all_are() -> bool:
        return numbers <= {line["number"] for line in run_.ledger() if line["direction"] != "inbound"}

    wait_until(all_are, within=240, what="every patient has a welcome")
    late = (machine_now() - run_.cohort.waves[0]).total_seconds()
    assert late < 0, f"too busy a machine: the last welcome came {late:.0f} s after the first dose was due"


def wave(run_: Run, number: int) -> None:
    """Every text of the waves up to this one is on its phone, or visibly in doubt."""
    wait_until(lambda: machine_now() >= run_.cohort.waves[number], within=300, what=f"wave {number} is due")

    def open_ones() -> list[Due]:
        missing = run_.verdict(number + 1).missing
        return missing if len(missing) > DOUBT_AT_MOST else unaccounted(missing, _fates(run_, missing))

    try:
        wait_until(lambda: not open_ones(), within=WAVE_WITHIN_SECONDS, what=f"every text of wave {number} is sent or in doubt")
    except AssertionError as error:
        raise AssertionError(f"{error}; {_standing(run_, number)}") from None
    verdict = judge(run_.cohort.of_wave(number), run_.ledger())
    run_.say(
        f"wave {number}: {len(verdict.once)} sent once, {len(verdict.missing)} in doubt, {len(verdict.twice)} twice; "
        f"the last {verdict.slowest:.1f} s after it was due"
    )


def _standing(run_: Run, wave: int) -> str:
    """How far a wave has come, for whoever must find out why no further."""
    verdict = judge(run_.cohort.of_wave(wave), run_.ledger())
    fates = Counter(_fates(run_, verdict.missing[:20]).values())
    return (
        f"{len(verdict.once)} sent once, {len(verdict.early)} early, {len(verdict.missing)} open, of which twenty: {dict(fates)}"
    )


def _fates(run_: Run, dues: list[Due]) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for patient in {due.patient for due in dues}:
        texts = run_.http.get("/notifier/messages", params={"patient": patient}).raise_for_status().json()
        found |= fates_of(patient, texts)
    return found


def _kill_in_mid_wave(run_: Run, members: list[Member]) -> Container:
    """`kill -9` of the notifier with most of due.v1, all of its connections open: the provider, stopped just before wave 1 is
    due, has their requests and answers when it runs again. However fast the machine, the kill is in the middle of
    the wave and of requests (before the first byte and after the answer: tests/integration/notifier/test_promises.py)."""
    busiest = max(members, key=lambda member: sum(one.startswith("due.v1") for one in member.partitions))
    victim = next(one for one in run_.stack.containers("notifier") if one.address == busiest.host)
    provider = run_.stack.containers("phone")[0]
    due = run_.cohort.waves[1]
    assert machine_now() < due - STILL_BEFORE, "too busy a machine: wave 1 is due before its provider could be stopped"
    wait_until(lambda: machine_now() >= due - STILL_BEFORE, within=180, what="just before wave 1 is due")
    run(["docker", "pause", provider.id])
    try:
        assert machine_now() < due, "too busy a machine: wave 1 was due before its provider stood still"
        under_way = wait_until(lambda: _all_connections(run_), within=60, what="every notifier waits for the provider's answers")
        run(["docker", "kill", "--signal", "KILL", victim.id])
        queued = _asked(run_, f"SELECT count(*) FROM notifier.message WHERE state = 'queued' AND due_at = '{due.isoformat()}'")
    finally:
        run(["docker", "unpause", provider.id])
    assert 0 < queued < PATIENTS, f"{queued} of {PATIENTS} texts had not begun at the kill: that is not the middle of the wave"
    run_.say(
        f"killed (SIGKILL) {victim.id[:12]} {victim.name} at {busiest.host}: {under_way} texts of wave 1 were with the provider, "
        f"{queued} had not begun"
    )
    return victim


def _all_connections(run_: Run) -> int:
    """How many requests are under way, once every notifier has as many as it may; else 0."""
    under_way = _asked(run_, "SELECT count(*) FROM notifier.attempt WHERE outcome = 'open'")
    return under_way if under_way >= NOTIFIERS * CONNECTIONS else 0


def _asked(run_: Run, statement: str) -> int:
    database = run_.stack.containers("postgres")[0]
    return int(run_.stack.inside(database, "psql", "-U", "postgres", "-d", "steadypath", "-Atc", statement))


def answer(run_: Run, dues: list[Due]) -> None:
    """Phones text back `1`; each dose is on record as taken, once."""
    for due in dues:
        hook = run_.http.post("/phone/replies", json={"from": due.number, "body": "1"}).raise_for_status().json()["webhook"]
        # A request that was inside the killed process is tried once more by the provider, 15 s later.
        assert hook["http"] == 200 or hook["retry_at"], f"the notifier's webhook answered {hook}"

    def taken() -> bool:
        return all(_taken(run_, due) for due in dues)

    wait_until(taken, within=120, what=f"{len(dues)} answers are on record as taken")
    run_.say(f"{len(dues)} phones answered 1: {len(dues)} doses on record as taken, each once")


def _taken(run_: Run, due: Due) -> bool:
    entries = run_.http.get(f"/adherence/patients/{due.patient}/timeline").raise_for_status().json()
    kinds = [entry["kind"] for entry in entries]
    assert kinds.count("dose-taken") <= 1, f"one answer, {kinds.count('dose-taken')} doses taken"
    return "dose-taken" in kinds


def final_count(run_: Run) -> None:
    ledger = run_.ledger()
    verdict = judge(run_.cohort.dues, ledger)
    fates = _fates(run_, verdict.missing)
    lost = unaccounted(verdict.missing, fates)
    outbound = sum(line["direction"] != "inbound" for line in ledger)
    shown = Counter(fates.get((due.patient, due.at), "nothing") for due in verdict.missing)
    run_.say(f"ledger: {len(ledger)} texts, {outbound} to phones, {len(ledger) - outbound} from phones")
    run_.say(
        f"of {len(run_.cohort.dues)} doses due {len(verdict.once)} sent once, {len(verdict.twice)} twice, "
        f"{len(verdict.early)} early, {len(verdict.strays)} not due, {len(verdict.missing)} on no phone {dict(shown) or ''}, "
        f"{len(lost)} lost"
    )
    assert not verdict.twice
    assert not verdict.early
    assert not verdict.strays
    assert not lost
    assert len(verdict.missing) <= DOUBT_AT_MOST


def _every_replica_was_asked(run_: Run) -> None:
    """The origin shares webhooks out: the two that lived through all of it have answered some each."""
    counts = {one.name: _webhooks(run_, one) for one in run_.stack.containers("notifier")}
    run_.say("webhooks answered: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    assert sum(count > 0 for count in counts.values()) >= NOTIFIERS - 1, "the origin asks one replica alone"


def _webhooks(run_: Run, one: Container) -> int:
    said = run_.stack.inside(one, "python", "-c", _METRICS)
    found = re.findall(r"^steadypath_http_requests_total\{[^}]*twilio[^}]*\} ([\d.]+)", said, re.MULTILINE)
    return int(sum(float(number) for number in found))


def _no_leak(run_: Run) -> None:
    """No planted name, number or label in any container's log, in Kafka's files or in PostgreSQL's."""
    leaks = search("container logs", run_.stack.logs().encode(), run_.cohort.canaries.needles())
    assert not leaks, leaks[0]
    needles = "\n".join(value.removeprefix("+") for value in run_.cohort.canaries.planted) + "\n"
    for service, folder in (("kafka", "/var/lib/kafka/data"), ("postgres", "/var/lib/postgresql")):
        one = run_.stack.containers(service)[0]
        found = run_.stack.inside(one, "grep", "-rlaF", "-f", "-", folder, check=False, given=needles).split()
        assert not found, f"planted values stand in {service}: {found[0]}"
    assert _grep_works(run_, needles), "the search finds nothing even where something is"
    run_.say(
        f"{len(run_.cohort.canaries.planted)} planted names, numbers, labels: none in the logs, in Kafka's files, in PostgreSQL's"
    )


def _grep_works(run_: Run, needles: str) -> bool:
    """The phones' own ledger is where they belong, and where the same search finds them."""
    one = run_.stack.containers("phone")[0]
    try:
        return bool(run_.stack.inside(one, "grep", "-rlaF", "-f", "-", "/var/lib/steadypath", given=needles).split())
    except StackError:
        return False
