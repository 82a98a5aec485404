"""The embedded Kafka-protocol cluster in the same hands as a real broker, for the few proofs that mean something on it.

It keeps nothing: every end is a wipe, every start a new address. One member a group, no CreateTopics, no restart with data.
"""

from __future__ import annotations

import json
import signal
import subprocess

from shared.embedded import spawn
from tests.support.cluster_broker import ClusterBroker


class EmbeddedBroker(ClusterBroker):
    real = False
    kind = "embedded"

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._bootstrap = ""

    @property
    def bootstrap(self) -> str:
        return self._bootstrap

    def start(self) -> None:
        self._process = subprocess.Popen(
            spawn.tied(spawn.python("shared.embedded.kafka")),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self._bootstrap = str(json.loads(self._process.stdout.readline())["bootstrap"])

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wipe(self, *, identity_too: bool = True) -> None:
        assert self._process is None, "a broker that runs cannot be wiped"

    def close(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            process.wait(20)
            assert process.stdout is not None
            process.stdout.close()
