"""A Raspberry Pi as far as this machine allows: booted, the service installed by its script."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.system.install import nspawn
from tests.system.install.pi import CHECKOUT, PYTHON, WHEELS, Pi
from tests.system.machine import dependencies, kept, optional, pip

SUITABLE = "import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"


@pytest.fixture(scope="session")
def wheels() -> Path:
    """All that pip needs to install this project with the system's Python, without a network."""
    if subprocess.run([PYTHON, "-c", SUITABLE], check=False).returncode:
        pytest.skip(f"{PYTHON} is not 3.11 to 3.13 with venv (apt: python3-venv)")
    # hatchling builds the project, simplejpeg is what install.sh may add.
    wanted = ["hatchling", "simplejpeg", *dependencies(), *optional("heic", "notify", "web")]
    version = subprocess.run([PYTHON, "-VV"], capture_output=True, text=True, check=True).stdout

    def fetch(folder: Path) -> None:
        done = pip("--python", PYTHON, "wheel", "--wheel-dir", folder, *wanted)
        assert done.returncode == 0, done.stderr[-3000:]

    return kept("wheels", (version, wanted), fetch)


@pytest.fixture(scope="session")
def pi(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pi]:
    """A booted machine on which ``install.sh`` has been run once, as docs/raspberry-pi.md says."""
    if missing := nspawn.what_is_missing():
        pytest.skip(missing)
    for program in ("mosquitto", "mosquitto_sub"):
        if shutil.which(program, path=nspawn.ENVIRONMENT["PATH"]) is None:
            pytest.skip(f"not installed: {program} (apt: mosquitto, mosquitto-clients)")
    binds = {REPOSITORY: CHECKOUT, wheels: WHEELS}
    with nspawn.machine(tmp_path_factory.mktemp("pi"), binds) as machine:
        made = Pi(machine)
        made.prepare()
        made.install()
        yield made


@pytest.fixture
def running(pi: Pi) -> Pi:
    """The machine with broker and service running, whatever the test before did to it."""
    # A test that removes it leaves it so: the next may begin with an installation of its own.
    if not pi.is_installed():
        pi.install()
    pi.reset()
    return pi
