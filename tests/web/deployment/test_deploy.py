"""What Django itself has to say about the safety of its settings, and the service's unit."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_classifier.daemon.active_model import UPLOADS_VARIABLE
from edge_classifier.web.configuration import Folders
from edge_classifier.web.django_settings import django_options
from edge_classifier.web.settings import ServerSettings, WebSettings
from tests.conftest import REPOSITORY
from tests.web.serving import web

UNIT = REPOSITORY / "systemd" / "edge-classifier-web.service"
DAEMON = REPOSITORY / "systemd" / "edge-classifier.service"
INSTALL = REPOSITORY / "scripts" / "install.sh"
# At most, of ten.
EXPOSURE = 1.5
# HSTS, redirection, and cookies over HTTPS only.
ONLY_WITH_TLS = {f"security.W0{number}" for number in ("04", "08", "12", "16")}


@pytest.fixture
def analyze() -> str:
    """The program that judges units."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed (apt: systemd)")
    return program


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("behind_tls", ["true", "false"])
def test_check_of_deployment_is_clean(tmp_path: Path, behind_tls: str) -> None:
    assignment = f"server.behind_tls={behind_tls}"
    command = ["manage", "check", "--deploy", "--fail-level", "WARNING"]
    done = web(tmp_path, "--set", assignment, *command)
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def settings_of(server: ServerSettings, folder: Path) -> dict[str, object]:
    return django_options(WebSettings(server=server), Folders(folder, folder, folder), {})


def test_check_of_deployment_is_silenced_for_what_only_tls_has(tmp_path: Path) -> None:
    assert set(settings_of(ServerSettings(), tmp_path)["SILENCED_SYSTEM_CHECKS"]) == ONLY_WITH_TLS  # type: ignore[call-overload]


def test_check_of_deployment_behind_tls_is_silenced_for_other_names_only(tmp_path: Path) -> None:
    found = settings_of(ServerSettings(behind_tls=True), tmp_path)
    assert found["SILENCED_SYSTEM_CHECKS"] == ["security.W005", "security.W021"]
    assert found["SECURE_HSTS_SECONDS"] == 365 * 86400
    for name in ("SESSION", "CSRF", "LANGUAGE"):
        assert found[f"{name}_COOKIE_SECURE"] is True


def test_database_that_is_named_is_used_and_its_password_is_not_told(tmp_path: Path) -> None:
    pytest.importorskip("dj_database_url", reason="the extra [fleet] is not installed")
    url = {"DATABASE_URL": "postgresql://edge:swordfish@db.example/web"}
    folders = Folders(tmp_path, tmp_path, tmp_path)
    found = django_options(WebSettings(), folders, url)["DATABASES"]["default"]
    assert (found["HOST"], found["NAME"], found["PASSWORD"]) == ("db.example", "web", "swordfish")


def verify(analyze: str, text: str, folder: Path) -> list[str]:
    """What systemd has to say about a unit; about others on this machine it may say more."""
    unit = folder / UNIT.name
    # The program is not installed here, which is another matter.
    unit.write_text(re.sub("^ExecStart=.*", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = run(analyze, "verify", str(unit))
    return [line for line in (done.stdout + done.stderr).splitlines() if UNIT.stem in line]


def test_unit_verified_is_without_complaint(analyze: str, tmp_path: Path) -> None:
    assert verify(analyze, UNIT.read_text("utf-8"), tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("OOMPolicy=continue", "OOMPolicy=go-on"), ("ProtectSystem=strict", "ProtectSystem=strickt")],
)
def test_unit_with_a_slip_is_complained_of(
    analyze: str, tmp_path: Path, right: str, wrong: str
) -> None:
    text = UNIT.read_text("utf-8")
    assert right in text
    assert verify(analyze, text.replace(right, wrong), tmp_path) != []


def test_unit_exposure_is_low(analyze: str) -> None:
    limit = f"--threshold={round(10 * EXPOSURE)}"
    done = run(analyze, "security", "--offline=true", "--no-pager", limit, str(UNIT))
    assert done.returncode == 0, done.stdout[-300:]


def hardening(unit: Path) -> set[str]:
    """The lines with which a unit gives rights up."""
    text = unit.read_text("utf-8")
    names = (
        "Protect|Private|Restrict|Lock|Memory(?=Deny)|SystemCall|NoNew|Capability|LimitCORE|UMask"
    )
    return set(re.findall(rf"^(?:{names})\w*=.*$", text, re.MULTILINE))


def test_unit_gives_up_all_that_the_daemons_does_and_devices_as_well() -> None:
    # libcamera needs netlink, the page does not; its child lowers its own priority.
    families = "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"
    theirs = hardening(DAEMON) - {f"{families} AF_NETLINK"}
    own = {families, "PrivateDevices=yes", "SystemCallFilter=setpriority"}
    assert hardening(UNIT) == theirs | own


def test_unit_is_what_the_installer_starts() -> None:
    unit, script = UNIT.read_text("utf-8"), INSTALL.read_text("utf-8")
    program, settings = re.findall(r"^ExecStart=(\S+) web --config (\S+)$", unit, re.MULTILINE)[0]
    home, folder = (
        re.findall(rf"^readonly {name}=(\S+)$", script, re.MULTILINE)[0]
        for name in ("HOME_FOLDER", "SETTINGS")
    )
    assert program == f"{home}/current/bin/edge-classify"
    assert settings == f"{folder}/web.toml"
    assert f"LoadCredential=secrets:{folder}/web-secrets\n" in unit


def test_units_share_one_folder_which_the_page_cannot_replace_and_the_daemon_not_write() -> None:
    page, daemon = UNIT.read_text("utf-8"), DAEMON.read_text("utf-8")
    state, models = re.findall(r"^StateDirectory=(\S+) (\S+)$", page, re.MULTILINE)[0]
    assert not models.startswith(f"{state}/")
    assert f"\nEnvironment=EDGE_CLASSIFIER_WEB__CLASSIFY__MODELS_FOLDER=%S/{models}\n" in page
    assert f"\nBindReadOnlyPaths=-%S/private/{models}\n" in daemon
    assert f"\nEnvironment={UPLOADS_VARIABLE}=%S/private/{models}\n" in daemon


def test_unit_with_a_wrong_configuration_is_not_started_again_and_again() -> None:
    assert "\nRestartPreventExitStatus=2 78\n" in UNIT.read_text("utf-8")


@pytest.mark.parametrize(("given", "expected"), [(["--web"], True), ([], False)])
def test_installer_installs_the_page_only_if_it_is_asked_to(
    given: list[str], expected: bool
) -> None:
    if Path("/etc/systemd/system", UNIT.name).exists():
        pytest.skip("the page is installed on this machine")
    done = run(str(INSTALL), "install", "--dry-run", "--no-apt", *given)
    assert done.returncode == 0, done.stderr
    assert ("[web" in done.stdout.replace("\\", "")) == expected
    assert (UNIT.name in done.stdout) == expected


def test_installer_removes_what_it_installs() -> None:
    done = run(str(INSTALL), "uninstall", "--purge", "--dry-run")
    state = f"/var/lib/private/{UNIT.stem}"
    for place in (f"/etc/systemd/system/{UNIT.name}", state, f"{state}-models"):
        assert place in done.stdout.split()
