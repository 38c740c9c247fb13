"""The service's unit as systemd reads it; no systemd needs to be running."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

UNIT = REPOSITORY / "systemd" / "edge-classifier.service"
INSTALL = REPOSITORY / "scripts" / "install.sh"
# At most, of ten.
EXPOSURE = 1.5

Completed = subprocess.CompletedProcess[str]


@pytest.fixture
def analyze() -> str:
    """The program that judges units."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (apt: systemd)")
    return program


def verify(analyze: str, text: str, folder: Path) -> list[str]:
    """What systemd has to say about a unit; about others on this machine it may say more."""
    unit = folder / UNIT.name
    # The program is not installed here, which is another matter.
    unit.write_text(re.sub("^ExecStart=.*", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = _run(analyze, "verify", str(unit))
    return [line for line in (done.stdout + done.stderr).splitlines() if UNIT.stem in line]


def _run(*command: str) -> Completed:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_unit_verified_is_without_complaint(analyze: str, tmp_path: Path) -> None:
    assert verify(analyze, UNIT.read_text("utf-8"), tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("WatchdogSec=", "WatchDogSec="), ("ProtectSystem=strict", "ProtectSystem=strickt")],
)
def test_unit_with_a_slip_is_complained_of(
    analyze: str, tmp_path: Path, right: str, wrong: str
) -> None:
    text = UNIT.read_text("utf-8")
    assert right in text
    assert verify(analyze, text.replace(right, wrong), tmp_path) != []


def test_unit_exposure_is_low(analyze: str) -> None:
    limit = f"--threshold={round(10 * EXPOSURE)}"
    done = _run(analyze, "security", "--offline=true", "--no-pager", limit, str(UNIT))
    assert done.returncode == 0, done.stdout[-300:]


def test_unit_hardening_leaves_the_network_its_speed() -> None:
    text = UNIT.read_text("utf-8")
    # Without /proc/cpuinfo XNNPACK leaves its fast kernels out. `import numpy` tries a call that
    # is refused, and must not be killed for it.
    assert not re.search("^ProcSubset=", text, re.MULTILINE)
    assert "\nSystemCallErrorNumber=EPERM\n" in text


def test_unit_is_what_the_installer_starts() -> None:
    unit = UNIT.read_text("utf-8")
    program, settings = re.findall(r"^ExecStart=(\S+) run --config (\S+)$", unit, re.MULTILINE)[0]
    script = INSTALL.read_text("utf-8")
    home, folder = (
        re.findall(rf"^readonly {name}=(\S+)$", script, re.MULTILINE)[0]
        for name in ("HOME_FOLDER", "SETTINGS")
    )
    assert program == f"{home}/current/bin/edge-classify"
    assert settings == f"{folder}/config.toml"
    assert f"LoadCredential=secrets:{folder}/secrets\n" in unit


def test_installer_unknown_option_is_explained_and_does_nothing() -> None:
    done = _run(str(INSTALL), "--wrong")
    assert done.returncode == 2
    assert "--dry-run" in done.stderr
    assert done.stdout == ""
