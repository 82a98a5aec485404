"""`steadypath enrol FILE...`: puts a clinic's patients and plans in, or says why not (DESIGN.md 6)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from shared.clock import machine_now
from steadypath.client import Client, ProblemError
from steadypath.enrol import sources
from steadypath.enrol.desk import Desk, HttpDesk
from steadypath.enrol.intake import ConsentGiven, Setting
from steadypath.enrol.progress import ProgressBar
from steadypath.enrol.report import Report
from steadypath.enrol.routines import KnownRoutines
from steadypath.enrol.send import Options, Sender
from steadypath.enrol.sources import Sources
from steadypath.errors import WRONG_USAGE, CommandError
from steadypath.state import find


@dataclass(frozen=True)
class Around:
    """What surrounds the files: the clinic's setting, its times of day, and where to send."""

    setting: Setting
    routine: Mapping[str, time]
    desk: Desk


def run(arguments: argparse.Namespace) -> int:
    """Exit 1 where any row is refused, 2 where none of the files is there."""
    opened = sources.open_all(arguments.files)
    around = _checking(arguments.consent) if arguments.check else _running(arguments, opened)
    options = Options(arguments.check, arguments.all_or_nothing, around.setting.consent)
    total = opened.total
    bar = ProgressBar("checking" if options.check else "enrolling", total and total * options.passes)
    sender = Sender(around.desk, lambda: sources.read(opened, around.setting, around.routine), options, bar.add)
    try:
        code = Report(arguments.json, options.check, bar).take(sender.run())
    except CommandError:
        bar.clear()
        raise
    return WRONG_USAGE if not any(Path(one).exists() for one in arguments.files) else code


def _checking(how: str | None) -> Around:
    from steadypath.enrol.local import LocalDesk  # noqa: PLC0415  the services' own rules; only --check needs them here

    setting = _setting(machine_now(), "US", "America/New_York", how)
    return Around(setting, {}, LocalDesk(setting))


def _running(arguments: argparse.Namespace, opened: Sources) -> Around:
    client = Client(find(arguments.url, arguments.key))
    contacts, plans = _clinic(client, "notifier"), _clinic(client, "scheduler")
    setting = _setting(clinical_now(client), str(contacts["country"]), str(contacts["zone"]), arguments.consent)
    if opened.name_moments:
        setting = replace(setting, routines=KnownRoutines(client))
    routine = {word: time.fromisoformat(at) for word, at in plans["routine"].items()}
    return Around(setting, routine, HttpDesk(client))


def _clinic(client: Client, service: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client.get(f"/{service}/clinic")
    except ProblemError as error:
        if error.status != 404:
            raise
        raise CommandError(f"the clinic has no settings yet: PUT /{service}/clinic first") from None
    return found


def clinical_now(client: Client) -> datetime:
    """The system's clinical time; a stack without a launcher (containers) runs on real time."""
    try:
        return datetime.fromisoformat(client.get("/clock")["now"])
    except ProblemError as error:
        if error.status not in (403, 404):
            raise
        return machine_now()


def _setting(now: datetime, country: str, zone: str, how: str | None) -> Setting:
    today = now.astimezone(ZoneInfo(zone)).date()
    consent = ConsentGiven(today, how, "the clinic") if how else None
    return Setting(today=today, country=country, zone=zone, consent=consent)
