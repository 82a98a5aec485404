"""What a person sees of a run: counts, what drafts lack, the first refusals; a progress bar on a terminal and nowhere else."""

from __future__ import annotations

import io
import json

import pytest

from steadypath.enrol.outcome import Outcome, Row
from steadypath.enrol.progress import ProgressBar
from steadypath.enrol.report import Report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def rows(**counts: int) -> list[Row]:
    words: dict[str, Outcome] = {"enrolled": "enrolled", "unchanged": "unchanged", "draft": "draft", "refused": "refused"}
    return [
        Row("f", f"patient/{word}-{number}", words[word], element="phone, zone" if word == "draft" else None, reason="Why.")
        for word, count in counts.items()
        for number in range(count)
    ]


def report(as_json: bool = False, check: bool = False) -> Report:
    return Report(as_json, check, ProgressBar("enrolling", None, io.StringIO()))


def test_counts_and_what_drafts_lack(capsys: pytest.CaptureFixture[str]) -> None:
    assert report().take(rows(enrolled=1200, draft=3)) == 0
    out, errors = capsys.readouterr()
    assert out.splitlines() == ["1,200 enrolled, 3 draft.", "No text goes for drafts until they have: phone (3), zone (3)."]
    assert errors == ""


def test_the_first_refusals_are_named_and_the_rest_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert report().take(rows(refused=25, enrolled=30)) == 1
    out, errors = capsys.readouterr()
    assert out.splitlines() == ["30 enrolled, 25 refused."]
    assert len(errors.splitlines()) == 11
    assert errors.splitlines()[0] == "steadypath: f: patient/refused-0: refused: Why."
    assert errors.splitlines()[-1] == "steadypath: 15 more are refused; --json names each"


def test_json_is_one_object_a_row_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(as_json=True).take(rows(enrolled=2, refused=1)) == 1
    out, errors = capsys.readouterr()
    assert [json.loads(line)["outcome"] for line in out.splitlines()] == ["enrolled", "enrolled", "refused"]
    assert errors == ""


def test_a_check_says_that_nothing_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    report(check=True).take(rows(enrolled=100))
    assert capsys.readouterr().out == "Checked, nothing written: 100 good.\n"


def test_the_bar_fills_and_goes() -> None:
    out = Terminal()
    bar = ProgressBar("enrolling", 100, out)
    bar.add(50)
    assert "[###############...............] 50 of 100" in out.getvalue()
    bar.clear()
    assert out.getvalue().endswith("\r\x1b[K")


def test_without_a_terminal_there_is_no_bar() -> None:
    out = io.StringIO()
    bar = ProgressBar("enrolling", None, out)
    bar.add(50)
    bar.clear()
    assert out.getvalue() == ""
