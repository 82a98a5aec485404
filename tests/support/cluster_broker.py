"""Which Kafka the cluster proofs run on, and what a proof may do to it: kill it, freeze it, start it again, make it forget.

Three kinds, tried in this order: a container (testcontainers, `apache/kafka`), Apache Kafka started natively from its published
jars, the embedded Kafka-protocol cluster. `STEADYPATH_TEST_BROKER=containers|native|embedded` forces one; a forced one that
cannot be had fails the run. Chosen once, said at the top of the run.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from functools import cache
from pathlib import Path
from uuid import uuid4

VARIABLE = "STEADYPATH_TEST_BROKER"
#: The release of docker-compose.yml and pom.xml; tests/cluster/test_judge.py holds the three together.
KAFKA_VERSION = "4.3.1"


class Unavailable(Exception):
    """This kind cannot be had here; one line that says why."""


class ClusterBroker(ABC):
    """One broker with one address for life. It is started by `start`, which returns when it takes connections."""

    #: Whether it is Apache Kafka: several members in a group, real rebalances, logs on disk that outlive the process.
    real = True
    #: Named in the header and in every reason for a skip.
    kind = ""

    @property
    @abstractmethod
    def bootstrap(self) -> str:
        """host:port of today (an embedded broker gets a new one at each start)."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """As an operator stops it: in good order."""

    @abstractmethod
    def kill(self) -> None:
        """kill -9."""

    @abstractmethod
    def freeze(self) -> None:
        """SIGSTOP: its connections stay open and nobody answers."""

    @abstractmethod
    def thaw(self) -> None: ...

    @abstractmethod
    def wipe(self, *, identity_too: bool = True) -> None:
        """While it is stopped: everything that it has stored is gone. Without `identity_too` it comes back empty as the same
        cluster, which only its offsets betray."""

    @abstractmethod
    def close(self) -> None:
        """Nothing of it is left: no process, no container, no folder."""


def new_identity() -> str:
    """A cluster id as Kafka makes them: a random UUID in base64, never with a leading dash."""
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=").replace("-", "a")


def settings_of(port: str, controller: str, host: str = "127.0.0.1") -> dict[str, str]:
    """server.properties of one node that is broker and controller, as docker-compose.yml runs it; it listens on `port`."""
    return {
        "node.id": "1",
        "process.roles": "broker,controller",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": f"1@{host or '127.0.0.1'}:{controller}",
        "inter.broker.listener.name": "PLAINTEXT",
        "offsets.topic.replication.factor": "1",
        # Fifty partitions of a topic that holds three groups would only make every start slower.
        "offsets.topic.num.partitions": "6",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "500",
        "auto.create.topics.enable": "false",
    }


@cache
def choice() -> tuple[str, str]:
    """Which kind this run uses, and in a few words why. Raises Unavailable where the forced one cannot be had."""
    forced = os.environ.get(VARIABLE, "")
    if forced and forced not in KINDS:
        raise Unavailable(f"{VARIABLE}: {', '.join(KINDS)} are accepted")
    said = []
    for kind, about in KINDS.items():
        if forced in ("", kind):
            try:
                return kind, about() + (f" ({VARIABLE})" if forced else "")
            except Unavailable as why:
                said.append(f"{kind}: {why}")
    raise Unavailable("; ".join(said))


def describe() -> str:
    """The line at the top of the run."""
    try:
        kind, about = choice()
    except Unavailable as why:
        return f"none ({why})"
    return f"{kind}: {about}"


def new_broker(folder: Path) -> ClusterBroker:
    """One of the chosen kind, not started. `folder` is its own."""
    kind, _ = choice()
    return _MAKERS[kind](folder)


def _containers() -> str:
    from tests.support import cluster_container  # noqa: PLC0415 - what one kind needs may be missing for another

    return cluster_container.about()


def _native() -> str:
    from tests.support import cluster_native  # noqa: PLC0415 - as above

    return cluster_native.about()


def _embedded() -> str:
    from shared.embedded import kafka  # noqa: PLC0415 - as above

    return f"{kafka.describe()}: what only a real broker can prove is skipped"


def _make_container(folder: Path) -> ClusterBroker:
    from tests.support.cluster_container import ContainerBroker  # noqa: PLC0415 - as above

    return ContainerBroker()


def _make_native(folder: Path) -> ClusterBroker:
    from tests.support.cluster_native import NativeBroker  # noqa: PLC0415 - as above

    return NativeBroker(folder)


def _make_embedded(folder: Path) -> ClusterBroker:
    from tests.support.cluster_embedded import EmbeddedBroker  # noqa: PLC0415 - as above

    return EmbeddedBroker()


KINDS = {"containers": _containers, "native": _native, "embedded": _embedded}
_MAKERS = {"containers": _make_container, "native": _make_native, "embedded": _make_embedded}
