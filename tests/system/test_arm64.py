"""README's Raspberry Pi section, and the daemon, on an emulated Raspberry Pi 4."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import Broker, Listener
from tests.system.arm64 import CHECKOUT, emulation, installed, raspberry_pi
from tests.system.debian import Root
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

COMMAND = "/usr/local/bin/edge-classify"
INSTALL = ("/bin/bash", f"{CHECKOUT}/scripts/install.sh", "--no-apt")
"""There are no packages to add: they are in the root already, and no dpkg knows of them."""
SAMPLES = f"{CHECKOUT}/edge_classifier/samples"
SCORE_NEAR = 0.01
"""Other kernels round otherwise."""
SETTINGS = f"""
[device]
name = "pi"
[mqtt]
host = "127.0.0.1"
port = {{port}}
[http]
enabled = false
[cameras.front]
source = "pictures:{SAMPLES}/espresso.jpg"
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """A Pi without this project."""
    folder = installed()
    own = tmp_path_factory.mktemp("pi")
    (own / "test").mkdir()
    with emulation():
        yield raspberry_pi(folder, own, {own / "test": "/srv/test"})


@pytest.fixture(scope="module")
def rehearsal(bare: Root) -> str:
    """What ``install.sh --dry-run`` says on a Pi without this project."""
    done = bare.run(*INSTALL, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert outside(bare, "/opt").glob("*/*").__next__ is not None
    return done.stdout


@pytest.fixture(scope="module")
def pi(bare: Root, rehearsal: str) -> Root:
    """A Pi on which ``install.sh`` has been run."""
    assert not any(outside(bare, "/opt").iterdir()), "--dry-run has left something"
    done = bare.run(*INSTALL, timeout_s=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return bare


def outside(root: Root, place: str) -> Path:
    """Where a bound folder of the root is on this machine."""
    return next(path for path, inside in root.binds.items() if inside == place)


def test_it_is_a_raspberry_pi_of_64_bits(bare: Root) -> None:
    show = "import platform, sys; print(platform.machine(), sys.version_info[:2])"
    assert bare.run("/usr/bin/python3", "-c", show).stdout.strip() == "aarch64 (3, 13)"


def test_dry_run_names_what_installing_then_makes(rehearsal: str, pi: Root) -> None:
    for place in ("/etc/edge-classifier/config.toml", "/etc/systemd/system/edge-classifier.service"):
        assert place in rehearsal
        folder, _, name = place.rpartition("/")
        assert (outside(pi, folder) / name).is_file()


def test_doctor_finds_the_machine_fit(pi: Root) -> None:
    done = pi.run(COMMAND, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the sample cat is" in done.stdout


def test_scores_are_those_of_the_workstation(pi: Root, cli: Cli) -> None:
    command = ["--image", f"{SAMPLES}/espresso.jpg", "--format", "json"]
    here = [str(part).replace(CHECKOUT, str(REPOSITORY)) for part in command]
    theirs, ours = (
        {p["label"]: p["score"] for p in json.loads(out)["predictions"]}
        for out in (pi.run(COMMAND, *command).stdout, cli(*here).stdout)
    )
    assert theirs["espresso"] == pytest.approx(ours["espresso"], abs=SCORE_NEAR)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as made:
        yield made


def test_daemon_publishes_what_it_sees_and_stops_when_told(pi: Root, broker: Broker) -> None:
    files = outside(pi, "/srv/test")
    (files / "config.toml").write_text(SETTINGS.format(port=broker.port), "utf-8")
    log = files / "daemon.log"
    with Listener(broker.port, "edge-classifier/pi/#") as messages, log.open("w") as out:
        daemon = pi.start(COMMAND, "run", "--config", "/srv/test/config.toml", stderr=out.fileno())
        try:
            eventually(lambda: daemon.poll() is not None or messages.of("front/event"), 180)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0, log.read_text("utf-8")
        finally:
            daemon.kill()
        assert json.loads(messages.of("front/event")[0].payload)["to"] == "espresso"
        eventually(lambda: messages.of("pi/availability")[-1].payload == b"offline")
