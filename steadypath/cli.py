"""The command line. Exit codes: 0 done, 1 refused or found wrong, 2 wrong usage; errors on stderr, one line each."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NoReturn

from services.scheduler.domain.timing import zone_names
from steadypath import desk
from steadypath.errors import DONE, REFUSED, WRONG_USAGE, CommandError
from steadypath.state import DEFAULT_PORT

_LONGEST_HOW = 120
_MOST_WEEKS = 104
Run = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str]) -> int:
    """Run one command."""
    arguments = _parser().parse_args(argv)
    run: Run = arguments.run
    try:
        return run(arguments)
    except CommandError as error:
        if arguments.debug:
            raise
        print(f"steadypath: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return REFUSED
    except (
        BrokenPipeError
    ):  # whoever reads us has seen enough (`| head`); nothing may be flushed into the closed pipe at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except Exception as error:
        if arguments.debug:
            raise
        print(f"steadypath: unexpected {type(error).__name__} (a fault of ours; --debug shows where)", file=sys.stderr)
        return REFUSED


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is there for whoever asks for it."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="steadypath", description="Keeps a psychiatric medication plan on track between visits."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    _up(commands.add_parser("up", parents=[common], help="start everything on this machine, behind one origin"))
    _doctor(commands.add_parser("doctor", parents=[common], help="check settings, database, broker, provider; say what to fix"))
    running = argparse.ArgumentParser(add_help=False, parents=[common])
    running.add_argument("--url", metavar="ORIGIN", help="the running system (default: STEADYPATH_URL, else `up`'s default port)")
    running.add_argument("--key", help="your key (default: STEADYPATH_KEY, else what `up` wrote for that origin)")
    desk.add_commands(commands, running)
    _enrol(commands.add_parser("enrol", parents=[running], help="put patients and plans in, from the native format or FHIR R4"))
    _rehearse(commands.add_parser("rehearse", parents=[common], help="every text of plans, before anybody gets one"))
    return parser


def _up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=Path(".steadypath"), metavar="DIR", help="where it keeps its data (%(default)s)"
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="N", help="the origin's port on loopback (%(default)s)"
    )
    parser.add_argument("--sample", action="store_true", help="with the sample clinic's five patients, once")
    parser.add_argument("--fast-forward", action="store_true", help="clinical time stands still until you advance it")
    parser.add_argument("--json", action="store_true", help="one line of JSON when all is ready")
    parser.set_defaults(run=_run_up)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("a port number from 1 to 65535 is needed")
    return int(text)


def _run_up(arguments: argparse.Namespace) -> int:
    from steadypath import up  # noqa: PLC0415  the other commands do without its imports, and start at once

    return up.run(up.Options(arguments.data, arguments.port, arguments.sample, arguments.fast_forward, arguments.json))


def _enrol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="native format (YAML, JSON) or FHIR R4 (JSON, NDJSON)")
    parser.add_argument("--check", action="store_true", help="write nothing; no running system is needed")
    parser.add_argument("--all-or-nothing", action="store_true", help="activate nothing unless every row goes in")
    parser.add_argument("--consent", type=_how, metavar="HOW", help="how every patient of the files gave consent to texts")
    parser.add_argument("--json", action="store_true", help="one JSON object for each row or resource")
    parser.set_defaults(run=_run_enrol)


def _how(text: str) -> str:
    if not 1 <= len(text.strip()) <= _LONGEST_HOW or not text.isprintable():
        raise argparse.ArgumentTypeError(f"1 to {_LONGEST_HOW} characters are needed, for example 'signed form, on file'")
    return text.strip()


def _run_enrol(arguments: argparse.Namespace) -> int:
    from steadypath.enrol import command  # noqa: PLC0415  as above

    return command.run(arguments)


def _rehearse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plans", nargs="+", metavar="PLAN", help="native format (YAML, JSON) or FHIR R4 (JSON, NDJSON)")
    parser.add_argument("--weeks", type=_weeks, default=12, metavar="N", help="how many weeks (%(default)s)")
    parser.add_argument("--start", type=_day, metavar="DATE", help="the first local date, YYYY-MM-DD (today)")
    parser.add_argument("--zone", type=_zone, metavar="TZ", help="of patients whose file has none, such as Europe/Berlin")
    parser.add_argument("--replies", metavar="FILE", help="who answers what (YAML); without it nobody answers")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the calendar as one page")
    parser.add_argument("--json", action="store_true", help="one JSON object for each text, in time order")
    parser.set_defaults(run=_run_rehearse)


def _weeks(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_WEEKS:
        raise argparse.ArgumentTypeError(f"a whole number of weeks from 1 to {_MOST_WEEKS} is needed")
    return int(text)


def _day(text: str) -> date:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year <= 2100:
        raise argparse.ArgumentTypeError("a date such as 2027-03-14 is needed, from 2000 to 2100")
    return found


def _zone(text: str) -> str:
    if text not in zone_names():
        raise argparse.ArgumentTypeError("an IANA time zone such as America/New_York is needed")
    return text


def _run_rehearse(arguments: argparse.Namespace) -> int:
    from steadypath.rehearse import command  # noqa: PLC0415  as above

    return command.run(arguments)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", metavar="ORIGIN", help="check the running system there as well")
    parser.add_argument("--key", help="your key for it")
    parser.set_defaults(run=_run_doctor)


def _run_doctor(arguments: argparse.Namespace) -> int:
    from steadypath import doctor  # noqa: PLC0415  as above

    return DONE if doctor.run(arguments.url, arguments.key) else REFUSED
