"""How a command ends badly: one line on stderr, and an exit code that a script can rely on."""

from __future__ import annotations

DONE, REFUSED, WRONG_USAGE = 0, 1, 2


class CommandError(Exception):
    """Refused or found wrong (exit code 1). The message is the one line that the operator reads."""
