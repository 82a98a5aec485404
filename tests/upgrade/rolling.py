"""A world of replicas of two releases: one is put beside the other, then the other is ended, as a rolling upgrade does it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from shared.embedded import spawn
from shared.embedded.postgres import free_port
from tests.support.cluster_world import PHONE, Replica, World
from tests.upgrade.release import Release, present


@dataclass
class ReplicaOf(Replica):
    """A process of a certain release."""

    release: Release = field(default_factory=present)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                spawn.tied([self.release.python, "-m", self.module]),
                cwd=self.release.root,
                env=dict(self.environment) | self.release.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.frozen = False


@dataclass
class RollingWorld(World):
    """`release` is the one that new replicas are of. The simulator is the provider: no release changes it."""

    release: Release = field(default_factory=present)
    started: int = 0

    def add(self, part: str) -> Replica:
        release = present() if part == PHONE else self.release
        self.started += 1
        name = f"{part}-{self.started}-{release.name}"
        log = self.folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        port = free_port()
        module = "steadypath.phone" if part == PHONE else f"services.{part}"
        replica = ReplicaOf(name, module, port, self._environment(part, port), log, release=release)
        self.replicas[part].append(replica)
        replica.start()
        return replica

    def swap(self, service: str) -> None:
        """Each replica of a service is replaced by one of `release`, which is ready before the old one is asked to end.
        (Where the broker knows one member a group, the old one has to go first.)"""
        for old in list(self.replicas[service]):
            if not self.broker.real:
                self._end(service, old)
            new = self.add(service)
            self.wait_ready(new)
            if self.broker.real:
                self._end(service, old)

    def _end(self, service: str, old: Replica) -> None:
        # Out of rotation first: whoever asks from now on is answered by another.
        if len(self.replicas[service]) > 1:
            self.replicas[service].remove(old)
        code = old.stop()
        assert code == 0, f"{old.name} ended with {code}"
        if old in self.replicas[service]:
            self.replicas[service].remove(old)
