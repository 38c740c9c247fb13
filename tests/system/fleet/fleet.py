"""PostgreSQL, a broker, recorders and devices, as docs/fleet.md has them."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.mosquitto import Broker
from tests.postgres import Postgres
from tests.web.recording import Process

# As docs/fleet.md has it: it does not write its whole memory with every message.
BROKER = ("allow_anonymous true", "autosave_on_changes false", "autosave_interval 60")


@dataclass(frozen=True)
class Fleet:
    """A database, a broker, and recorders that share their work."""

    folder: Path
    database: Postgres
    broker: Broker

    def recorder(self, name: str, machine: str = "") -> Process:
        """Known to the broker as ``name``; on a machine of its own with a shared folder."""
        return Process(
            self.folder / (machine or name),
            self.broker.port,
            {"mqtt.client_id": name, "storage.folder": self.folder / "pictures"},
            arguments=("--group", "fleet"),
            environment={"DATABASE_URL": self.database.url},
        )

    def devices(self, devices: int, *phases: str) -> "subprocess.Popen[bytes]":
        """Many that publish; ``phases`` are ``COUNT@PER_SECOND``."""
        figures = (str(self.broker.port), str(devices), *phases)
        command = [sys.executable, "-m", "tests.system.fleet.devices", *figures]
        return subprocess.Popen(command, cwd=REPOSITORY)

    @property
    def amount(self) -> int:
        return int(self.database.value("SELECT count(*) FROM web_record"))

    def owes(self, name: str) -> int:
        """Messages that this recorder was sent and has not acknowledged."""
        log = self.broker.log
        return log.count(f"Sending PUBLISH to {name} ") - log.count(f"Received PUBACK from {name} ")
