"""`steadypath rehearse PLAN...`: every text that patients and care team would get, before anybody gets one (DESIGN.md 6)."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Coroutine, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from shared.clock import machine_now
from steadypath.enrol import sources
from steadypath.enrol.intake import Setting
from steadypath.enrol.outcome import Row
from steadypath.errors import DONE, REFUSED, WRONG_USAGE, CommandError
from steadypath.rehearse import page, replies, weeks
from steadypath.rehearse.cast import Cast, cast
from steadypath.rehearse.replies import Script
from steadypath.rehearse.run import Order, Rehearsal, rehearse
from steadypath.sample.loader import read

_CLINIC = read("clinic")["clinic"]["notifier"]
CLINIC_ZONE, COUNTRY = _CLINIC["zone"], _CLINIC["country"]
T = TypeVar("T")


def run(arguments: argparse.Namespace) -> int:
    """Exit 1 where any row is refused, 2 where none of the files is there. What is printed was carried through to the end."""
    entries = replies.read(arguments.replies) if arguments.replies else ()
    first_day = arguments.start or machine_now().astimezone(ZoneInfo(arguments.zone or CLINIC_ZONE)).date()
    found = _cast(arguments.plans, first_day, arguments.zone)
    if not any(one.lot.intake.contact for one in found.players):
        _name_refused([*found.loose, *(row for one in found.players for row in one.lot.intake.rows)])
        _say("nothing is left to rehearse")
        return WRONG_USAGE if not any(Path(one).exists() for one in arguments.plans) else REFUSED
    order = Order(found, Script(entries), first_day, arguments.weeks, CLINIC_ZONE)
    order.check()
    for line in found.assumed:
        _say(f"assumed: {line}")
    return _show(asyncio.run(_until_signal(rehearse(order, _say))), arguments)


def _cast(paths: Sequence[str], first_day: date, zone: str | None) -> Cast:
    setting = Setting(today=first_day, country=COUNTRY, zone=CLINIC_ZONE, assumed_zone=zone)
    reading = sources.read(sources.open_all(paths), setting, {})
    return cast(reading, first_day, zone or CLINIC_ZONE, COUNTRY)


def _show(rehearsal: Rehearsal, arguments: argparse.Namespace) -> int:
    refused = _name_refused(rehearsal.rows)
    if arguments.json:
        for text in rehearsal.story.texts:
            sys.stdout.write(json.dumps(text.as_json(), ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(weeks.render(rehearsal.story))
    sys.stdout.flush()
    if arguments.html is not None:
        try:
            arguments.html.write_text(page.page(rehearsal.story), "utf-8")
        except OSError as error:
            raise CommandError(f"{arguments.html} cannot be written: {error.strerror}") from None
    return REFUSED if refused else DONE


def _name_refused(rows: Sequence[Row]) -> bool:
    refused = [row for row in rows if row.outcome == "refused"]
    for row in refused:
        print(f"steadypath: {row.line()}", file=sys.stderr)
    return bool(refused)


def _say(line: str) -> None:
    print(f"rehearse: {line}", file=sys.stderr, flush=True)


async def _until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Ended by SIGINT or SIGTERM, it ends all that it started before it answers."""
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise CommandError("ended before it was through; nothing is left") from None
