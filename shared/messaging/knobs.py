"""The numbers of messaging, all machine time. A test makes them small; nothing clinical is among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Knobs:
    """Defaults are for production. Durations are machine time; seconds where a float."""

    #: Records that one transaction handles at most, and rows that the relay publishes at a time.
    batch: int = 200
    chunk: int = 500
    #: Partitions of a topic that we create ourselves (production: three times the replicas one ever wants).
    partitions: int = 4
    #: A leader that is silent for so long is replaced. Longer than `publish_timeout`, so that a slow one is not.
    lease: timedelta = timedelta(seconds=15)
    publish_timeout: float = 10.0
    #: How often the relay reads how far the groups are, looks for a broker that forgot, and prunes.
    confirm_every: float = 2.0
    check_broker_every: float = 5.0
    prune_every: float = 60.0
    prune_batch: int = 1000
    #: Published rows stay until every group has confirmed them, and then this long.
    keep_published: timedelta = timedelta(days=7)
    #: Longer than Kafka keeps a record and the outbox an unconfirmed row: an inbox row outlives every return of its event.
    keep_inbox: timedelta = timedelta(days=400)
    #: Pauses between the tries of one failing record; after the last it is parked.
    retry_pauses: tuple[float, ...] = (0.05, 0.2, 1.0, 3.0)
    #: Pause while the database cannot be reached, and before connecting to a broker again.
    wait_pause: float = 1.0
    #: So many records parked in a row on one partition are a fault of ours, not of the records (arroyo's DlqLimit).
    flood: int = 25
    #: Records wait and none was handled for so long: the consumer is stuck.
    stuck_after: float = 60.0
    #: The mock cluster's long poll does not wake on produce (measured), so it is short. A real broker answers as soon as there is
    #: something: there it is long (STEADYPATH_KAFKA_FETCH_WAIT), and idling costs little.
    fetch_wait_ms: int = 20
    #: How long a batch under way may take when we stop; the whole stop has 10 s.
    graceful: float = 4.0
