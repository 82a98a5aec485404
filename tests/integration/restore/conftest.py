"""One system of its own for each test of this folder: each loses a database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.restore import restored
from tests.integration.restore.restored import World


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with restored.world(tmp_path_factory) as found:
        yield found
