"""The operator's desk on a running system: parked events, the switch that stops sending, keys, the sample clinic."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from hashlib import sha256
from urllib.parse import quote

from shared.events.registry import SERVICES
from steadypath import state
from steadypath.client import Client
from steadypath.errors import DONE, CommandError

ROLES = ("prescriber", "therapist", "coordinator", "ops", "service")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], running: argparse.ArgumentParser) -> None:
    """`running`: the options --url and --key that all of these take."""
    _parked(commands, running)
    _switch(commands, running)
    _keys(commands, running)
    sample = commands.add_parser("sample", parents=[running], help="load the clinic and its five sample patients")
    sample.set_defaults(run=_run_sample)


def _parked(commands: argparse._SubParsersAction[argparse.ArgumentParser], running: argparse.ArgumentParser) -> None:
    parked = commands.add_parser("parked", help="events that wait for a person: list, show, replay, discard")
    actions = parked.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", parents=[running], help="all of them, or one service's")
    listing.add_argument("service", nargs="?", choices=SERVICES)
    listing.set_defaults(run=_run_parked_list)
    show = actions.add_parser("show", parents=[running], help="one of them")
    show.add_argument("service", choices=SERVICES)
    show.add_argument("event_id")
    show.set_defaults(run=_run_parked_show)
    for name, help_text in (("replay", "try it again"), ("discard", "let it go for good")):
        action = actions.add_parser(name, parents=[running], help=help_text)
        action.add_argument("service", choices=SERVICES)
        action.add_argument("event_id")
        action.add_argument("--reason", required=True, help="why; it is kept in the audit")
        action.set_defaults(run=_run_parked_action)


def _switch(commands: argparse._SubParsersAction[argparse.ArgumentParser], running: argparse.ArgumentParser) -> None:
    switch = commands.add_parser("switch", parents=[running], help="stop all texts, or let them go again")
    switch.add_argument("sending", choices=("off", "on"))
    switch.add_argument("--everything", action="store_true", help="also safe replies, opt-out confirmations and crisis alerts")
    switch.add_argument("--reason", required=True, help="why; it is kept in the audit")
    switch.set_defaults(run=_run_switch)


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
        print("nothing is parked", file=sys.stderr)
    return DONE


def _run_parked_show(arguments: argparse.Namespace) -> int:
    rows = _client(arguments).get(f"/{arguments.service}/parked")
    found = [row for row in rows if row["event_id"] == arguments.event_id]
    if not found:
        raise CommandError(f"{arguments.service} has no parked event of that id")
    print(json.dumps(found[0], indent=2))
    return DONE


def _run_parked_action(arguments: argparse.Namespace) -> int:
    path = f"/{arguments.service}/parked/{quote(arguments.event_id, safe='')}/{arguments.action}"
    _client(arguments).post(path, {"reason": arguments.reason})
    print(f"{arguments.action}: {arguments.event_id}")
    return DONE


def _run_switch(arguments: argparse.Namespace) -> int:
    body = {"sending": arguments.sending, "everything": arguments.everything, "reason": arguments.reason}
    _client(arguments).put("/notifier/switch", body)
    print(f"sending is {arguments.sending}")
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
