"""What messaging has done since this process started, as plain numbers that the metrics page reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Counters only ever rise; no label, so no id can slip into one."""

    handled: int = 0
    repeats: int = 0
    without_handler: int = 0
    parked: int = 0
    parked_behind: int = 0
    retried: int = 0
    batches: int = 0
    batches_failed: int = 0
    commits_failed: int = 0
    read_again: int = 0
    published: int = 0
    publish_failed: int = 0
    repairs: int = 0
    lease_lost: int = 0
    fired: int = 0
    fires_failed: int = 0
    fires_parked: int = 0
