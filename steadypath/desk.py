"""The operator's desk on a running system: parked events, what ops was told, the switch, keys, the sample clinic."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from hashlib import sha256
from typing import Any
from uuid import UUID

from shared.events.registry import SERVICES
from steadypath import state, switch
from steadypath.client import Client, ProblemError
from steadypath.errors import DONE, CommandError

ROLES = ("prescriber", "therapist", "coordinator", "ops", "service")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], running: argparse.ArgumentParser) -> None:
    """`running`: the options --url and --key that all of these take."""
    _parked(commands, running)
    _notices(commands, running)
    switch.add_command(commands, running, reason)
    _keys(commands, running)
    sample = commands.add_parser("sample", parents=[running], help="load the clinic and its five sample patients")
    sample.set_defaults(run=_run_sample)


def _parked(commands: argparse._SubParsersAction[argparse.ArgumentParser], running: argparse.ArgumentParser) -> None:
    parked = commands.add_parser("parked", help="events that wait for a person: list, show, replay, discard")
    actions = parked.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[running], help="all of them, or one service's; a line of JSON each")
    listing.add_argument("service", nargs="?", choices=SERVICES)
    listing.set_defaults(run=_run_parked_list)
    show = actions.add_parser("show", parents=[running], help="one of them, and what waits behind it")
    show.add_argument("service", choices=SERVICES)
    show.add_argument("event_id", type=_event_id)
    show.set_defaults(run=_run_parked_show)
    for name, help_text in (("replay", "try it again"), ("discard", "let it go for good")):
        action = actions.add_parser(name, parents=[running], help=f"{help_text}, then those behind it in order")
        action.add_argument("service", choices=SERVICES)
        action.add_argument("event_id", type=_event_id)
        action.add_argument("--reason", required=True, type=reason, help="why; it is kept in the audit")
        action.set_defaults(run=_run_parked_action)


def _event_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError("the event_id that `parked list` shows is needed") from None


def reason(text: str) -> str:
    """What an audit can use."""
    if not 3 <= len(text.strip()) <= 500:
        raise argparse.ArgumentTypeError("3 to 500 characters are needed, for example 'template added'")
    return text.strip()


def _notices(commands: argparse._SubParsersAction[argparse.ArgumentParser], running: argparse.ArgumentParser) -> None:
    notices = commands.add_parser(
        "notices", parents=[running], help="what ops was told, newest first, and whether it arrived; a line of JSON each"
    )
    notices.add_argument("--undelivered", action="store_true", help="only what some channel has not delivered")
    notices.set_defaults(run=_run_notices)


def _keys(commands: argparse._SubParsersAction[argparse.ArgumentParser], running: argparse.ArgumentParser) -> None:
    keys = commands.add_parser("keys", help="keys for people and tools")
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", parents=[running], help="make a key; it is shown once and kept nowhere")
    add.add_argument("label", help="what it is for, as the audit will say: a tool or a post such as clinic-desk, never a name")
    add.add_argument("--role", dest="roles", action="append", required=True, choices=ROLES)
    add.add_argument("--person", help="the care team member who uses it (your own id)")
    add.add_argument("--reason", required=True, help="why; it is kept in the audit")
    add.set_defaults(run=_run_keys_add)


def _client(arguments: argparse.Namespace) -> Client:
    return Client(state.find(arguments.url, arguments.key))


def _run_parked_list(arguments: argparse.Namespace) -> int:
    client = _client(arguments)
    services = (arguments.service,) if arguments.service else SERVICES
    rows = [{"service": service} | row for service in services for row in client.get(f"/{service}/parked")]
    for row in rows:
        print(json.dumps(row))
    if not rows:
        print(f"nothing is parked{f' in the {arguments.service}' if arguments.service else ''}", file=sys.stderr)
    return DONE


def _run_parked_show(arguments: argparse.Namespace) -> int:
    try:
        row = _client(arguments).get(f"/{arguments.service}/parked/{arguments.event_id}")
    except ProblemError as problem:
        raise _said(problem, arguments) from None
    print(json.dumps({"service": arguments.service} | row, indent=2))
    return DONE


def _run_parked_action(arguments: argparse.Namespace) -> int:
    path = f"/{arguments.service}/parked/{arguments.event_id}/{arguments.action}"
    try:
        decided = _client(arguments).post(path, {"reason": arguments.reason})
    except ProblemError as problem:
        raise _said(problem, arguments) from None
    if decided["outcome"] == "failed-again":
        raise CommandError(f"it failed again and stays parked: `steadypath parked show {arguments.service} {arguments.event_id}`")
    print(_outcome(decided))
    if decided["next"] is not None:
        raise CommandError(f"the next of its key failed: `steadypath parked show {arguments.service} {decided['next']}`")
    return DONE


def _outcome(decided: dict[str, Any]) -> str:
    handled = decided["handled"]
    if decided["outcome"] == "scheduled":
        return "it is due again now; `steadypath parked list` shows it if it fails once more"
    if decided["outcome"] == "discarded":
        return f"discarded; {handled} behind it handled" if handled else "discarded; nothing waited behind it"
    return f"replayed; {handled - 1} behind it handled too" if handled > 1 else "replayed; nothing waited behind it"


def _said(problem: ProblemError, arguments: argparse.Namespace) -> CommandError:
    """What an operator has to know of an answer of the desk; the rest as it came."""
    if problem.status == 404:
        return CommandError(
            f"nothing is parked in the {arguments.service} under this id (`steadypath parked list` shows what is)"
        )
    if problem.status == 409:
        return CommandError(problem.detail)
    return problem


def _run_notices(arguments: argparse.Namespace) -> int:
    client = _client(arguments)
    rows = [{"service": service} | row for service in SERVICES for row in client.get(f"/{service}/ops/notices")]
    shown = [row for row in rows if row["state"] != "delivered" or not arguments.undelivered]
    for row in sorted(shown, key=lambda row: str(row["at"]), reverse=True):
        print(json.dumps(row))
    if not shown:
        print("nothing is undelivered" if rows else "ops was told nothing so far", file=sys.stderr)
    return DONE


def _run_keys_add(arguments: argparse.Namespace) -> int:
    """The key is made here and only its hash is sent; each service keeps its own hashes, so all three are told."""
    client = _client(arguments)
    key = f"sp_{secrets.token_urlsafe(24)}"
    body = {
        "label": arguments.label,
        "roles": arguments.roles,
        "sha256": sha256(key.encode()).hexdigest(),
        "person": arguments.person,
    }
    for service in SERVICES:
        client.post(f"/{service}/keys", body | {"reason": arguments.reason})
    print(key)
    return DONE


def _run_sample(arguments: argparse.Namespace) -> int:
    from steadypath.sample.loader import load  # noqa: PLC0415  the others do without YAML

    client = _client(arguments)
    for what in ("clinic", "patients"):
        load(client, what)
    print("the sample clinic is in")
    return DONE
