"""What the tests of the service do on their machine, in their own words."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.system.install.nspawn import Completed, Machine
from tests.waiting import eventually

PYTHON = "/usr/bin/python3"
CHECKOUT = "/srv/checkout"
WHEELS = "/srv/wheels"
CURRENT = "/opt/edge-classifier/current"
CONFIG = "/etc/edge-classifier/config.toml"
SECRET = "/etc/edge-classifier/secrets/mqtt-password"  # noqa: S105 (a path)
UNIT = "edge-classifier.service"
STATE = "/var/lib/private/edge-classifier"
PLACES = ("/opt", "/etc", "/usr/local", "/usr/lib/python3", "/root/.cache", "/root/.local", "/var")
ELSEWHERE = ("/var/log/", "/var/lib/systemd/", "/var/tmp/")  # noqa: S108 (what others write)
# The name that the distribution's broker has: the service is ordered after that.
BROKER = "mosquitto.service"
WATCHDOG_S = 6
PASSWORD = "open-sesame"  # noqa: S105 (of a broker that only this machine sees)

SETTINGS = """
[device]
name = "pi"
[mqtt]
username = "pi"
[cameras.front]
source = "pictures:/srv/pictures"
retry_max_s = 1
"""
BROKER_SETTINGS = """
user root
listener 1883 127.0.0.1
allow_anonymous false
password_file /etc/broker.passwords
"""
BROKER_UNIT = """
[Service]
Type=notify
ExecStart=/usr/sbin/mosquitto -c /etc/broker.conf
"""


class Pi:
    """A machine with the service."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.run = machine.run
        self.systemctl = machine.systemctl
        self._cursor = ""

    def path(self, inside: str) -> Path:
        """Where a file of the machine is, seen from outside."""
        return self.machine.root / inside.lstrip("/")

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        """Make or replace a file of the machine."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def prepare(self) -> None:
        """A broker that wants a password."""
        self.write("/etc/broker.conf", BROKER_SETTINGS)
        self.run("mkdir", "-p", "/var/log/journal")
        self.run("mosquitto_passwd", "-b", "-c", "/etc/broker.passwords", "pi", PASSWORD)
        self.write(f"/etc/systemd/system/{BROKER}", BROKER_UNIT)
        self.systemctl("daemon-reload")

    def install(
        self,
        *arguments: str,
        source: str = CHECKOUT,
        wheels: str = WHEELS,
        apt: bool = False,
        check: bool = True,
    ) -> Completed:
        """Run ``scripts/install.sh``; pip finds everything in a folder, for there is no network."""
        return self.run(
            f"{source}/scripts/install.sh",
            *arguments,
            *([] if apt else ["--no-apt"]),
            environment={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels},
            timeout_s=400,
            check=check,
        )

    def is_installed(self) -> bool:
        """Whether the service is there, running or not."""
        return self.path(f"/etc/systemd/system/{UNIT}").exists()

    def reset(self) -> None:
        """Broker and service run as after a first installation, with a picture to see."""
        self.systemctl("stop", UNIT)
        last = self.run("journalctl", "--lines=0", "--show-cursor").stdout
        self._cursor = last.strip().rpartition("-- cursor: ")[2]
        self.run("rm", "-rf", f"/etc/systemd/system/{UNIT}.d", "/srv/pictures")
        self.write(CONFIG, SETTINGS)
        self.write(SECRET, PASSWORD, mode=0o600)
        self.show("espresso")
        self.systemctl("daemon-reload")
        self.systemctl("start", BROKER)
        self.systemctl("start", UNIT)

    def show(self, picture: str) -> None:
        """Put one of the bundled photographs before the camera."""
        sample = f"{CHECKOUT}/edge_classifier/samples/{picture}.jpg"
        self.run("install", "-D", "-m", "644", sample, f"/srv/pictures/{picture}.jpg")

    def change_unit(self, lines: str) -> None:
        """Add lines to the service's unit, and restart it."""
        self.write(f"/etc/systemd/system/{UNIT}.d/test.conf", f"[Service]\n{lines}\n")
        self.systemctl("daemon-reload")
        self.systemctl("restart", UNIT)

    def shows(self, name: str) -> str:
        """A property of the service as systemd has it."""
        return self.machine.shows(UNIT, name)

    def journal(self) -> str:
        """What the service has said, and systemd of it, since the reset."""
        show = ["journalctl", "--output=cat", f"--after-cursor={self._cursor}", "-u", UNIT]
        return self.run(*show).stdout

    def release(self) -> str:
        """The folder of the release that is installed."""
        return self.run("readlink", CURRENT).stdout.strip()

    def files(self) -> Mapping[str, str]:
        """Path to what distinguishes one version of it, of all that installing might touch.

        Of what was written on that machine only: what else there is belongs to this one, where
        other tests may be at work.
        """
        written = self.machine.written
        places = [f".{place}" for place in PLACES if (written / place.lstrip("/")).exists()]
        # The overlay keeps a device in the place of what was deleted.
        command = ["find", *places, "-not", "-type", "d", "-not", "-type", "c"]
        command += ["-printf", "%p\t%T@ %s %m %l\n"]
        done = subprocess.run(
            command, cwd=written, capture_output=True, text=True, check=True, timeout=200
        )
        lines = (line.removeprefix(".") for line in done.stdout.splitlines())
        return dict(line.split("\t", 1) for line in lines if not line.startswith(ELSEWHERE))

    def received(self, topic: str) -> str:
        """The retained message of a topic below the device's; empty: none."""
        command = ["mosquitto_sub", "-u", "pi", "-P", PASSWORD, "-C", "1", "-W", "2"]
        wanted = ["--retained-only", "-t", f"edge-classifier/pi/{topic}"]
        return self.run(*command, *wanted, check=False).stdout.strip()

    def sees(self, label: str) -> bool:
        """Whether the camera's retained state has this label."""
        state: dict[str, Any] = json.loads(self.received("front/state") or "{}")
        return state.get("label") == label

    def wait_for(self, label: str, within_s: float = 60) -> None:
        """Wait until a subscriber gets this label; what was retained before is of no use."""
        eventually(lambda: self.sees(label), within_s)

    def in_sandbox(self, *command: str) -> str:
        """Run a command as the service would be run, and return what it writes."""
        unit = self.path(f"/etc/systemd/system/{UNIT}").read_text("utf-8")
        # A state folder of its own: that of a running service is not for two users.
        unit = unit.replace("\nStateDirectory=edge-classifier\n", "\nStateDirectory=sandbox\n")
        once = f"Type=oneshot\nRestart=no\nExecStart=\nExecStart={' '.join(command)}\n"
        output = "StandardOutput=truncate:/run/sandbox\n"
        self.write("/etc/systemd/system/sandbox.service", f"{unit}\n[Service]\n{once}{output}")
        self.systemctl("daemon-reload")
        self.systemctl("start", "sandbox.service")
        return self.run("cat", "/run/sandbox").stdout
