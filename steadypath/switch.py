"""`steadypath switch`: stops all texts of the clinic or of every clinic, lets them go again, or says how the switches stand."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime
from typing import Any

from steadypath import state
from steadypath.client import Client, ProblemError
from steadypath.errors import DONE, WRONG_USAGE, CommandError

PATH = "/notifier/switch"
STILL_GO = "safe replies, opt-out confirmations and crisis alerts still go"
NOTHING_GOES = "nothing goes, not even safe replies; a crisis alert goes to the ops channel"


def add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    running: argparse.ArgumentParser,
    reason: Callable[[str], str],
) -> None:
    """`running`: the options --url and --key; `reason`: what is taken as one."""
    switch = commands.add_parser("switch", parents=[running], help="whether texts go; stop all of them, or let them go again")
    switch.add_argument("sending", nargs="?", default="status", choices=("status", "off", "on"), help="(%(default)s)")
    switch.add_argument("--all", action="store_true", help="of every clinic; needs the installation's first key")
    switch.add_argument(
        "--everything", action="store_true", help="off: also safe replies, opt-out confirmations and crisis alerts"
    )
    switch.add_argument("--reason", type=reason, help="why; it is kept in the audit")
    switch.set_defaults(run=lambda arguments: _run(switch, arguments))


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    wrong = _wrong(arguments)
    if wrong is not None:
        parser.exit(WRONG_USAGE, f"{parser.prog}: {wrong} (see {parser.prog} --help)\n")
    client = Client(state.find(arguments.url, arguments.key))
    print(said(_turned(client, arguments)))
    return DONE


def _wrong(arguments: argparse.Namespace) -> str | None:
    if arguments.sending == "status":
        return "--all, --everything and --reason go with off and on" if _given(arguments) else None
    if arguments.reason is None:
        return "the following arguments are required: --reason"
    return "--everything goes with off" if arguments.everything and arguments.sending == "on" else None


def _given(arguments: argparse.Namespace) -> bool:
    return bool(arguments.all or arguments.everything or arguments.reason)


def _turned(client: Client, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.sending == "status":
        shown: dict[str, Any] = client.get(PATH)
        return shown
    wanted = {"sending": arguments.sending, "everything": arguments.everything, "reason": arguments.reason}
    try:
        turned: dict[str, Any] = client.put(PATH, wanted | {"scope": "all" if arguments.all else "clinic"})
    except ProblemError as problem:
        if problem.status == 403:
            needed = "the installation's first key (STEADYPATH_KEY)" if arguments.all else "a key with the role ops"
            raise CommandError(f"this key may not turn it: {needed} is needed; nothing was changed") from None
        raise
    return turned


def said(shown: dict[str, Any]) -> str:
    """How the switches stand, for a person: what holds, since when, and whose switch it is."""
    if shown["sending"] == "on":
        return "texts go: the switch is on"
    whose = [name for name, off in (("this clinic's", shown["clinic"] != "on"), ("every clinic's", shown["all"] != "on")) if off]
    goes = NOTHING_GOES if shown["everything"] else STILL_GO
    since = datetime.fromisoformat(shown["since"]).strftime("%Y-%m-%d %H:%M UTC")
    return f"texts are OFF since {since} by {' and '.join(whose)} switch; {goes}"
