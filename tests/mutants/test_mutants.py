"""Every mutant is noticed by the test that is named for it."""

from __future__ import annotations

import pytest

from tests.mutants.run import ROOT, Mutant, mutants, noticed


@pytest.mark.slow
@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant) -> None:
    assert noticed(mutant), f"{mutant.test} passes though broken: {mutant.why}"


def test_every_mutant_still_fits_the_code() -> None:
    """Cheap, so that it runs always: a stale mutant would prove nothing."""
    for mutant in mutants():
        assert (ROOT / mutant.file).read_text("utf-8").count("\n" + mutant.old) == 1, mutant.name
