"""Apache Kafka in a container of the official image, through testcontainers, on a port of this machine that stays its own.

Not testcontainers' own KafkaContainer: that starts another vendor's image. A plain container with the settings of
docker-compose.yml, ready when the broker says so. The reaper container is off: the fixture that starts a container removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from datetime import datetime
from typing import Any

from shared.embedded.postgres import free_port
from tests.support.cluster_broker import KAFKA_VERSION, ClusterBroker, Unavailable, new_identity, settings_of
from tests.support.waiting import wait_until

IMAGE = f"apache/kafka:{KAFKA_VERSION}"
_STARTED = "Kafka Server started"
_START_WITHIN = 240.0


def about() -> str:
    """What will run. Raises Unavailable where no engine answers, or the image is neither there nor to be pulled."""
    docker = shutil.which("docker")
    if docker is None:
        raise Unavailable("no docker on the PATH")
    version = _said(docker, "version", "--format", "{{.Server.Version}}")
    if version is None:
        raise Unavailable("no Docker daemon answers")
    if _said(docker, "image", "inspect", "--format", "{{.Id}}", IMAGE) is None and _said(docker, "pull", "-q", IMAGE) is None:
        raise Unavailable(f"the image {IMAGE} is not there and cannot be pulled")
    return f"{IMAGE} in a container (testcontainers, Docker engine {version})"


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


class ContainerBroker(ClusterBroker):
    """One node. The container is kept when the broker ends, with its data, and removed by `wipe` and `close`."""

    kind = "containers"

    def __init__(self) -> None:
        self.port = free_port()
        self._container: Any = None
        self._identity = new_identity()

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        if self._container is None:
            self._container = self._made()
            self._container.start()
        else:
            self._inner().start()
        wait_until(self._answers, within=_START_WITHIN, what="the container says that Kafka has started, and takes connections")

    def stop(self) -> None:
        self._inner().stop(timeout=30)

    def kill(self) -> None:
        self._inner().kill()

    def freeze(self) -> None:
        self._inner().pause()

    def thaw(self) -> None:
        self._inner().unpause()

    def wipe(self, *, identity_too: bool = True) -> None:
        if identity_too:
            self._identity = new_identity()
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(Exception):  # one that is paused must be woken to be removed; most are not
                container.get_wrapped_container().unpause()
            container.stop(force=True, delete_volume=True)

    def close(self) -> None:
        self.wipe()

    def _inner(self) -> Any:
        return self._container.get_wrapped_container()

    def _made(self) -> Any:
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - it reads the line above when imported

        settings = settings_of("9092", "9093", host="") | {
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.quorum.voters": "1@localhost:9093",
        }
        container = DockerContainer(IMAGE).with_bind_ports("9092/tcp", self.port)
        for name, value in settings.items():
            container = container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
        return container.with_env("CLUSTER_ID", self._identity).with_env("KAFKA_HEAP_OPTS", "-Xms128m -Xmx512m")

    def _answers(self) -> bool:
        """Since its latest start: a container that was started again has the line of its first start in its log too."""
        inner = self._inner()
        inner.reload()
        assert inner.status != "exited", f"Kafka ended while starting: {inner.logs(tail=5)!r}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        began = datetime.fromisoformat(inner.attrs["State"]["StartedAt"].partition(".")[0].removesuffix("Z") + "+00:00")
        return _STARTED.encode() in inner.logs(since=began.timestamp())
