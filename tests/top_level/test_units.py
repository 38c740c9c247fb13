"""The units of daemon and page as systemd reads them, and their installer; nothing is started."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_classifier.daemon.models.active_model import UPLOADS_VARIABLE
from tests.conftest import REPOSITORY

DAEMON = REPOSITORY / "systemd" / "edge-classifier.service"
PAGE = REPOSITORY / "systemd" / "edge-classifier-web.service"
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


def verify(analyze: str, name: str, text: str, folder: Path) -> list[str]:
    """What systemd has to say about a unit; about others on this machine it may say more."""
    unit = folder / name
    # The program is not installed here, which is another matter.
    unit.write_text(re.sub("^ExecStart=.*", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = run(analyze, "verify", str(unit))
    return [line for line in (done.stdout + done.stderr).splitlines() if unit.stem in line]


def run(*command: str) -> Completed:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("unit", [DAEMON, PAGE], ids=["daemon", "page"])
def test_unit_verified_is_without_complaint(analyze: str, tmp_path: Path, unit: Path) -> None:
    assert verify(analyze, unit.name, unit.read_text("utf-8"), tmp_path) == []


@pytest.mark.parametrize(
    ("unit", "right", "wrong"),
    [
        (DAEMON, "WatchdogSec=", "WatchDogSec="),
        (DAEMON, "ProtectSystem=strict", "ProtectSystem=strickt"),
        (PAGE, "OOMPolicy=continue", "OOMPolicy=go-on"),
        (PAGE, "ProtectSystem=strict", "ProtectSystem=strickt"),
    ],
)
def test_unit_with_a_slip_is_complained_of(
    analyze: str, tmp_path: Path, unit: Path, right: str, wrong: str
) -> None:
    text = unit.read_text("utf-8")
    assert right in text
    assert verify(analyze, unit.name, text.replace(right, wrong), tmp_path) != []


@pytest.mark.parametrize("unit", [DAEMON, PAGE], ids=["daemon", "page"])
def test_unit_exposure_is_low(analyze: str, unit: Path) -> None:
    limit = f"--threshold={round(10 * EXPOSURE)}"
    done = run(analyze, "security", "--offline=true", "--no-pager", limit, str(unit))
    assert done.returncode == 0, done.stdout[-300:]


def test_unit_hardening_leaves_the_network_its_speed() -> None:
    text = DAEMON.read_text("utf-8")
    # Without /proc/cpuinfo XNNPACK leaves its fast kernels out. `import numpy` tries a call that
    # is refused, and must not be killed for it.
    assert not re.search("^ProcSubset=", text, re.MULTILINE)
    assert "\nSystemCallErrorNumber=EPERM\n" in text


@pytest.mark.parametrize(
    ("unit", "command", "settings", "secrets"),
    [
        (DAEMON, "run", "config.toml", "secrets"),
        (PAGE, "web", "web.toml", "web-secrets"),
    ],
    ids=["daemon", "page"],
)
def test_unit_is_what_the_installer_starts(
    unit: Path, command: str, settings: str, secrets: str
) -> None:
    text, script = unit.read_text("utf-8"), INSTALL.read_text("utf-8")
    started = rf"^ExecStart=(\S+) {command} --config (\S+)$"
    program, file = re.findall(started, text, re.MULTILINE)[0]
    home, folder = (
        re.findall(rf"^readonly {name}=(\S+)$", script, re.MULTILINE)[0]
        for name in ("HOME_FOLDER", "SETTINGS")
    )
    assert program == f"{home}/current/bin/edge-classify"
    assert file == f"{folder}/{settings}"
    assert f"LoadCredential=secrets:{folder}/{secrets}\n" in text


def test_installer_unknown_option_is_explained_and_does_nothing() -> None:
    done = run(str(INSTALL), "--wrong")
    assert done.returncode == 2
    assert "--dry-run" in done.stderr
    assert done.stdout == ""


def hardening(unit: Path) -> set[str]:
    """The lines with which a unit gives rights up."""
    text = unit.read_text("utf-8")
    names = (
        "Protect|Private|Restrict|Lock|Memory(?=Deny)|SystemCall|NoNew|Capability|LimitCORE|UMask"
    )
    return set(re.findall(rf"^(?:{names})\w*=.*$", text, re.MULTILINE))


def test_unit_of_the_page_gives_up_all_that_the_daemons_does_and_devices_as_well() -> None:
    # libcamera needs netlink, the page does not; its child lowers its own priority.
    families = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"
    theirs = hardening(DAEMON) - {f"{families} AF_NETLINK"}
    own = {families, "PrivateDevices=yes", "SystemCallFilter=setpriority"}
    assert hardening(PAGE) == theirs | own


def test_units_share_one_folder_which_the_page_cannot_replace_and_the_daemon_not_write() -> None:
    page, daemon = PAGE.read_text("utf-8"), DAEMON.read_text("utf-8")
    state, models = re.findall(r"^StateDirectory=(\S+) (\S+)$", page, re.MULTILINE)[0]
    assert not models.startswith(f"{state}/")
    assert f"\nEnvironment=EDGE_CLASSIFIER_WEB__CLASSIFY__MODELS_FOLDER=%S/{models}\n" in page
    assert f"\nBindReadOnlyPaths=-%S/private/{models}\n" in daemon
    assert f"\nEnvironment={UPLOADS_VARIABLE}=%S/private/{models}\n" in daemon


def test_unit_of_the_page_with_a_wrong_configuration_is_not_started_again_and_again() -> None:
    assert "\nRestartPreventExitStatus=2 78\n" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(("given", "expected"), [(["--web"], True), ([], False)])
def test_installer_installs_the_page_only_if_it_is_asked_to(
    given: list[str], expected: bool
) -> None:
    if Path("/etc/systemd/system", PAGE.name).exists():
        pytest.skip("the page is installed on this machine")
    done = run(str(INSTALL), "install", "--dry-run", "--no-apt", *given)
    assert done.returncode == 0, done.stderr
    assert ("[web" in done.stdout.replace("\\", "")) == expected
    assert (PAGE.name in done.stdout) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "."),
        (["--with=heic"], ".[heic]"),
        (["--web", "--with=heic,fleet,heic"], ".[web,notify,fleet,heic]"),
    ],
)
def test_installer_adds_the_extras_that_were_named_each_once(
    given: list[str], expected: str
) -> None:
    if Path("/opt/edge-classifier").exists():
        pytest.skip("it is installed on this machine, perhaps with extras")
    done = run(str(INSTALL), "install", "--dry-run", "--no-apt", *given)
    pip = next(line for line in done.stdout.splitlines() if "-m pip install" in line)
    assert shlex.split(pip)[-1] == expected


def test_installer_removes_what_it_installs() -> None:
    done = run(str(INSTALL), "uninstall", "--purge", "--dry-run")
    state = f"/var/lib/private/{PAGE.stem}"
    for place in (f"/etc/systemd/system/{PAGE.name}", state, f"{state}-models"):
        assert place in done.stdout.split()
