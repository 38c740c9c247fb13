"""README's Raspberry Pi section, and the daemon, on emulated Raspberry Pis of 64 and 32 bits."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.samples import FOLDER
from tests.conftest import Cli
from tests.mosquitto import Broker, Listener
from tests.system.debian import Root
from tests.system.install.arm import (
    CHECKOUT,
    PLACES,
    RASPBERRY_PI_2,
    RASPBERRY_PI_4,
    Board,
    emulation,
    installed,
    raspberry_pi,
)
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

COMMAND = "/usr/local/bin/edge-classify"
# There are no packages to add: they are in the root already, and no dpkg knows of them.
INSTALL = ("/bin/bash", f"{CHECKOUT}/scripts/install.sh", "--no-apt")
SAMPLES = f"{CHECKOUT}/edge_classifier/samples"
ESPRESSO = FOLDER / "espresso.jpg"
# Other kernels round otherwise; where the network is not sure, that is more.
SCORE_NEAR = 0.01
CONFIG = "/etc/edge-classifier/config.toml"
UNIT = "/etc/systemd/system/edge-classifier.service"


@pytest.fixture(
    scope="module",
    params=[RASPBERRY_PI_4, RASPBERRY_PI_2],
    ids=[RASPBERRY_PI_4.architecture, RASPBERRY_PI_2.architecture],
)
def board(request: pytest.FixtureRequest) -> Board:
    """One kind of Raspberry Pi after the other."""
    kind: Board = request.param
    return kind


@pytest.fixture(scope="module")
def bare(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    """A Pi without this project."""
    folder = installed(board)
    with emulation(board):
        yield raspberry_pi(board, folder, tmp_path_factory.mktemp("pi"))


@pytest.fixture(scope="module")
def rehearsal(bare: Root) -> str:
    """What ``install.sh --dry-run`` says there; it leaves nothing behind."""
    done = bare.run(*INSTALL, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert not any(any(outside(bare, place).iterdir()) for place in PLACES)
    return done.stdout


@pytest.fixture(scope="module")
def pi(bare: Root, rehearsal: str) -> Root:
    """A Pi on which ``install.sh`` has been run."""
    done = bare.run(*INSTALL, timeout_s=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return bare


def outside(root: Root, place: str) -> Path:
    """Where a bound folder of the root is on this machine."""
    return next(path for path, inside in root.lent.items() if inside == place)


def test_it_is_the_machine_that_it_shall_be(board: Board, bare: Root) -> None:
    show = "import platform, sys; print(platform.machine(), sys.version_info[:2])"
    shown = bare.run("/usr/bin/python3", "-c", show).stdout.strip()
    assert shown == f"{board.machine} {board.python}"


def test_packages_that_pip_cannot_find_are_asked_of_apt(board: Board, bare: Root) -> None:
    done = bare.run(*INSTALL[:-1], "--dry-run")
    assert done.returncode == 0, done.stderr
    asked = next(line for line in done.stdout.splitlines() if "apt-get install" in line).split()
    assert set(board.packages) <= set(asked)


def test_dry_run_names_what_installing_then_makes(rehearsal: str, pi: Root) -> None:
    for made in (CONFIG, UNIT, COMMAND):
        assert made in rehearsal
        folder, _, name = made.rpartition("/")
        assert os.path.lexists(outside(pi, folder) / name)


def test_doctor_finds_the_machine_fit(board: Board, pi: Root) -> None:
    done = pi.run(COMMAND, "doctor", "--machine-only")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{board.machine}: NEON" in done.stdout
    assert board.runtime in done.stdout
    assert "the sample cat is" in done.stdout


def test_scores_are_those_of_the_workstation(pi: Root, cli: Cli) -> None:
    there = pi.run(COMMAND, "--format", "json", "--image", f"{SAMPLES}/espresso.jpg").stdout
    here = cli("--format", "json", "--image", ESPRESSO).stdout
    theirs, ours = ({p["label"]: p["score"] for p in first(made)} for made in (there, here))
    # Which labels are among the five best is chance where their scores are nearly 0.
    for label in {*theirs, *ours}:
        assert theirs.get(label, 0.0) == pytest.approx(ours.get(label, 0.0), abs=SCORE_NEAR)


def first(made: str | bytes) -> list[dict[str, Any]]:
    """The predictions for the first picture."""
    predictions: list[dict[str, Any]] = json.loads(made)[0]["predictions"]
    return predictions


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as made:
        yield made


def test_daemon_publishes_what_it_sees_and_stops_when_told(
    pi: Root, broker: Broker, tmp_path: Path
) -> None:
    # As in docs/raspberry-pi.md, but for an editor.
    changes = (
        f"cameras.camera.source=pictures:{SAMPLES}/espresso.jpg",
        f"mqtt.port={broker.port}",
        "device.name=pi",
        "http.port=0",
    )
    options = [option for change in changes for option in ("--set", change)]
    log = tmp_path / "daemon.log"
    with Listener(broker.port, "edge-classifier/pi/#") as messages, log.open("w") as out:
        daemon = pi.start(COMMAND, "run", "--config", CONFIG, *options, stderr=out.fileno())
        try:
            eventually(lambda: daemon.poll() is not None or messages.of("camera/event"), 180)
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0, log.read_text("utf-8")
        finally:
            daemon.kill()
        assert json.loads(messages.of("camera/event")[0].payload)["to"] == "espresso"
        eventually(lambda: messages.of("pi/availability")[-1].payload == b"offline")
