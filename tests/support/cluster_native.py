"""Apache Kafka as a process of this machine, from the jars that the Apache project publishes: no container, no installation.

pom.xml names the release; Maven fetches its jars once into a cache folder (44 MB); any JDK from 17 on runs them. A broker here is
one process whose number the test knows, so it can be killed, frozen and made to forget like any other.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

from shared.embedded import spawn
from shared.embedded.postgres import free_port
from tests.support.cluster_broker import KAFKA_VERSION, ClusterBroker, Unavailable, new_identity, settings_of
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
_HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
#: Machine seconds. After a kill -9 a broker waits for its own old registration to run out; a busy machine makes a minute of that.
_START_WITHIN, _STOP_WITHIN = 240.0, 30.0
_LOGGING = """\
Configuration:
  Appenders:
    Console:
      name: out
      PatternLayout: {pattern: "%d{ISO8601} %p %c{1} %m%n"}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: out}}
    Logger:
      - {name: kafka.server.KafkaRaftServer, level: INFO}
      - {name: org.apache.kafka.coordinator.group, level: INFO}
"""


def about() -> str:
    """What will run. Raises Unavailable without a JDK, or where the jars are neither cached nor to be had."""
    version = _java_version()
    jars()
    return f"Apache Kafka {KAFKA_VERSION} as a process, from its published jars, Java {version}"


def _java_version() -> int:
    java = shutil.which("java")
    if java is None:
        raise Unavailable("no java on the PATH (a JDK from 17 on is needed)")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < 17:
        raise Unavailable("the java on the PATH is older than 17")
    return int(found[1])


@cache
def jars() -> Path:
    """The folder of the jars that pom.xml names. Fetched whole or not at all; a changed pom is another folder."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    cache_folder = (Path(base) if base.startswith("/") else Path.home() / ".cache") / "steadypath"
    pom = ROOT / "pom.xml"
    folder = cache_folder / f"kafka-{sha256(pom.read_bytes()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("the jars of pom.xml are not cached and there is no mvn on the PATH to fetch them")
    cache_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".fetching-", dir=cache_folder))
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={scratch / 'lib'}"]
    try:
        done = subprocess.run([*command, "-DincludeScope=runtime"], capture_output=True, text=True, check=False, timeout=600)
        if done.returncode != 0:
            raise Unavailable("mvn could not fetch the jars of pom.xml")
        if not folder.exists():
            (scratch / "lib").rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


class NativeBroker(ClusterBroker):
    """One node in `folder`: its settings, its log directory, and `broker.log` with what it said."""

    kind = "native"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._controller = free_port(), free_port()
        self.data = folder / "data"
        self._identity = new_identity()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log4j2.yaml").write_text(_LOGGING, "utf-8")
        settings = settings_of(str(self.port), str(self._controller)) | {"log.dirs": str(self.data)}
        (folder / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self.data.exists():
            self._format()
        with (self.folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                spawn.tied(self._java("kafka.Kafka", str(self.folder / "server.properties")), signal_name="SIGKILL"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        wait_until(self._answers, within=_START_WITHIN, what=f"Kafka takes connections (log: {self.folder / 'broker.log'})")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def wipe(self, *, identity_too: bool = True) -> None:
        if identity_too:
            self._identity = new_identity()
        assert self._process is None, "a broker that runs cannot be wiped"
        shutil.rmtree(self.data, ignore_errors=True)

    def close(self) -> None:
        self._end(signal.SIGKILL)
        self.wipe()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the broker is not running"
        return self._process

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_WITHIN)

    def _answers(self) -> bool:
        assert self._running().poll() is None, f"Kafka ended while starting: {self._last_words()}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _last_words(self) -> str:
        return "\n".join((self.folder / "broker.log").read_text("utf-8", "replace").splitlines()[-5:])

    def _format(self) -> None:
        settings = str(self.folder / "server.properties")
        command = self._java("kafka.tools.StorageTool", "format", "-t", self._identity, "-c", settings)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"the log directory could not be formatted: {(done.stderr or done.stdout)[-400:]}"

    def _java(self, main: str, *arguments: str) -> list[str]:
        java = shutil.which("java")
        assert java is not None
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.yaml'}"
        return [java, *_HEAP, logging, "-cp", f"{jars()}/*", main, *arguments]
