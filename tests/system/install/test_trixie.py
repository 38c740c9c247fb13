"""``scripts/install.sh`` with apt, and both services, on a booted Debian 13: systemd 257."""

import hashlib
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.system.install import nspawn
from tests.system.install.pi import CHECKOUT, SETTINGS, UNIT, WHEELS, Pi
from tests.system.machine import apt_mirror, dependencies, kept, need, optional, pip
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

WEB_UNIT = "edge-classifier-web.service"
# What a Raspberry Pi has before installing, and what the tests ask of it.
_PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "mosquitto",
    "mosquitto-clients",
    "procps",
    "python3",
    "systemd",
    "systemd-sysv",
)
# What install.sh asks apt for.
_WANTED = "python3-venv"
_DEBS = "srv/debs"
_FETCH = f"""
chroot $1 apt-get install --yes --quiet --download-only --no-install-recommends {_WANTED}
mkdir -p $1/{_DEBS} && cp $1/var/cache/apt/archives/*.deb $1/{_DEBS}/"""
_WHEEL_OPTIONS = (
    "--only-binary=:all:",
    "--python-version=3.13",
    "--implementation=cp",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_27_x86_64",
    "--platform=manylinux2014_x86_64",
)


def installed() -> Path:
    """A Debian 13 with an apt repository and wheels of its own, made at the first call."""
    if missing := nspawn.what_is_missing():
        pytest.skip(missing)
    need("mmdebstrap", "dpkg-deb")
    if platform.machine() != "x86_64":
        pytest.skip("its wheels are chosen for x86-64")
    wanted = _wheels()
    return kept("trixie", (_PACKAGES, _FETCH, _WHEEL_OPTIONS, wanted), _install)


def _wheels() -> list[str]:
    """What ``install.sh --web`` installs, beside the project itself."""
    return ["hatchling", *dependencies(), *optional("web", "notify")]


def _install(folder: Path) -> None:
    options = ["--quiet", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
    hook = f"--customize-hook=set -e; set -- $1; {_FETCH}"
    command = [
        "unshare",
        "--mount",
        "mmdebstrap",
        *options,
        hook,
        "trixie",
        str(folder),
        apt_mirror(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    debs = sorted((folder / _DEBS).glob("*.deb"))
    (folder / _DEBS / "Packages").write_text("\n".join(map(_entry, debs)), "utf-8")
    # The machine has no network: apt has this, and nothing else.
    for path in (folder / "etc/apt").rglob("*.list"):
        path.unlink()
    (folder / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:/{_DEBS} ./\n", "utf-8")
    wheels = folder / WHEELS.lstrip("/")
    wanted = _wheels()
    fetched = pip("download", *_WHEEL_OPTIONS, "--dest", wheels, *wanted)
    assert fetched.returncode == 0, fetched.stderr[-3000:]


def _entry(deb: Path) -> str:
    """One package of a repository's list."""
    control = subprocess.run(["dpkg-deb", "-f", deb], capture_output=True, text=True, check=True)
    content = deb.read_bytes()
    facts = f"Filename: ./{deb.name}\nSize: {len(content)}\n"
    return f"{control.stdout}{facts}SHA256: {hashlib.sha256(content).hexdigest()}\n"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pi]:
    """A booted Debian 13 without this project."""
    root = installed()
    with nspawn.machine(tmp_path_factory.mktemp("trixie"), {REPOSITORY: CHECKOUT}, root) as machine:
        made = Pi(machine)
        made.prepare()
        yield made


@pytest.fixture(scope="module")
def pi(bare: Pi) -> Pi:
    """The same after the documented installation, with the page, by apt and pip."""
    bare.install("--web", apt=True)
    bare.reset()
    return bare


def test_it_is_debian_13_with_its_systemd(bare: Pi) -> None:
    assert bare.systemctl("--version").startswith("systemd 257")
    assert bare.run("python3", "-c", "import ensurepip", check=False).returncode


def test_install_without_apt_names_the_missing_package_and_a_dry_run_asks_for_it(bare: Pi) -> None:
    done = bare.install(check=False)
    assert done.returncode == 1
    assert f"sudo apt install {_WANTED}" in done.stderr
    said = bare.install("--dry-run", apt=True).stdout
    assert f"--no-install-recommends {_WANTED}" in said


def test_install_takes_the_missing_package_from_apt(pi: Pi) -> None:
    status = pi.run("dpkg-query", "-W", "-f", "${db:Status-Status}", _WANTED).stdout
    assert status == "installed"


def test_both_services_run_and_do_their_work(pi: Pi) -> None:
    pi.wait_for("espresso")
    for unit in (UNIT, WEB_UNIT):
        assert pi.machine.shows(unit, "ActiveState") == "active"
        # None of their hardening is unknown to this version, or refused by it.
        said = pi.run("systemd-analyze", "verify", unit, check=False)
        assert said.stdout + said.stderr == ""
    eventually(lambda: "ok" in pi.run("curl", "-s", "http://127.0.0.1:8090/healthz").stdout, 60)


def test_upgrade_keeps_settings_and_both_services(pi: Pi) -> None:
    before = pi.release()
    pi.install("upgrade", apt=True)
    assert pi.release() != before
    assert pi.path("/etc/edge-classifier/config.toml").read_text("utf-8") == SETTINGS
    for unit in (UNIT, WEB_UNIT):
        assert pi.machine.shows(unit, "ActiveState") == "active"


def test_uninstall_removes_both_services_and_with_purge_all(pi: Pi) -> None:
    pi.install("uninstall", "--purge", apt=True)
    for unit in (UNIT, WEB_UNIT):
        assert pi.machine.shows(unit, "LoadState") == "not-found"
    for place in ("/opt/edge-classifier", "/etc/edge-classifier", "/usr/local/bin/edge-classify"):
        assert pi.run("test", "-e", place, check=False).returncode
    assert not pi.run("sh", "-c", "ls -d /var/lib/*/edge-* /var/lib/edge-* 2>&-; true").stdout
