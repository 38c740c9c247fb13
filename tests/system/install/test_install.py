"""``scripts/install.sh`` on a machine of its own: installs, upgrades, rolls back, removes."""

import subprocess
from collections.abc import Mapping

import pytest

from tests.system.install.pi import CHECKOUT, CONFIG, CURRENT, SECRET, SETTINGS, UNIT, Pi

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

COMMAND = "/usr/local/bin/edge-classify"
STATE = "/var/lib/private/edge-classifier"
OWN = (
    "/opt/edge-classifier",
    "/etc/edge-classifier",
    f"/etc/systemd/system/{UNIT}",
    f"/etc/systemd/system/multi-user.target.wants/{UNIT}",
    COMMAND,
    STATE,
    "/var/lib/edge-classifier",
)
PLACES = ("/opt", "/etc", "/usr/local", "/usr/lib/python3", "/root/.cache", "/root/.local", "/var")
ELSEWHERE = ("/var/log/", "/var/lib/systemd/", "/var/tmp/")  # noqa: S108 (what others write)


def releases(pi: Pi) -> list[str]:
    """Names of the releases that are there."""
    return pi.run("ls", "/opt/edge-classifier/releases").stdout.split()


def files(pi: Pi) -> Mapping[str, str]:
    """Path to what distinguishes one version of it, of all that installing might touch.

    Of what was written on that machine only: what else there is belongs to this one, where other
    tests may be at work.
    """
    written = pi.machine.written
    places = [f".{place}" for place in PLACES if (written / place.lstrip("/")).exists()]
    # The overlay keeps a device in the place of what was deleted.
    command = ["find", *places, "-not", "-type", "d", "-not", "-type", "c"]
    command += ["-printf", "%p\t%T@ %s %m %l\n"]
    done = subprocess.run(
        command, cwd=written, capture_output=True, text=True, check=True, timeout=200
    )
    lines = (line.removeprefix(".") for line in done.stdout.splitlines())
    return dict(line.split("\t", 1) for line in lines if not line.startswith(ELSEWHERE))


def test_install_again_changes_nothing_but_the_release(running: Pi) -> None:
    before, release = files(running), running.release()
    running.install()
    assert running.release() != release
    assert len(releases(running)) == 1
    changed = {path for path, version in files(running).items() if before.get(path) != version}
    own = ("/opt/edge-classifier/", f"/etc/systemd/system/{UNIT}", COMMAND, STATE)
    assert [path for path in changed if not path.startswith(own)] == []
    assert running.systemctl("is-enabled", UNIT) == "enabled"
    assert running.shows("ActiveState") == "active"
    assert running.run("edge-classify", "--version").stdout.startswith("edge-classify ")


@pytest.mark.parametrize("action", ["install", "upgrade", "uninstall"])
def test_dry_run_tells_commands_and_changes_nothing(running: Pi, action: str) -> None:
    before = files(running), running.shows("MainPID")
    said = running.install(action, "--dry-run").stdout
    assert f"systemctl {'disable' if action == 'uninstall' else 'restart'}" in said
    now = {path: seen for path, seen in files(running).items() if not path.startswith(STATE)}
    assert now.items() <= before[0].items()
    assert running.shows("MainPID") == before[1]


def test_upgrade_that_cannot_be_built_leaves_the_old_one_running(running: Pi) -> None:
    before = running.release(), running.shows("MainPID")
    done = running.install("upgrade", wheels="/nowhere", check=False)
    assert done.returncode != 0
    assert (running.release(), running.shows("MainPID")) == before
    assert len(releases(running)) == 1


def test_upgrade_that_refuses_the_settings_leaves_the_old_one_running(running: Pi) -> None:
    running.write(CONFIG, f"{SETTINGS}no_such_key = 1\n")
    before = running.release(), running.shows("MainPID")
    done = running.install("upgrade", check=False)
    assert done.returncode == 78
    assert "no_such_key" in done.stdout
    assert (running.release(), running.shows("MainPID")) == before


def test_upgrade_that_does_not_start_is_rolled_back(running: Pi) -> None:
    # Without the environments in it, which have gigabytes.
    copy = f"mkdir /opt/broken && tar -cC {CHECKOUT} --exclude=./.venv* . | tar -xC /opt/broken"
    running.run("sh", "-c", copy, timeout_s=200)
    running.write("/opt/broken/edge_classifier/cli/run.py", "raise RuntimeError('broken')\n")
    before = running.release()
    done = running.install("upgrade", source="/opt/broken", check=False)
    assert done.returncode == 1
    assert "going back" in done.stderr
    assert running.release() == before
    assert running.shows("ActiveState") == "active"
    assert len(releases(running)) == 1


def test_install_beside_an_older_numpy_brings_its_own_simplejpeg(running: Pi) -> None:
    # As on Raspberry Pi OS 12: apt's simplejpeg cannot be used with pip's numpy.
    system = "/usr/lib/python3/dist-packages"
    running.write(f"{system}/numpy-1.24.2.dist-info/METADATA", "Name: numpy\nVersion: 1.24.2\n")
    running.write(f"{system}/numpy/__init__.py", "")
    running.write(f"{system}/simplejpeg.py", "")
    try:
        running.install("upgrade")
        ask = "import numpy, simplejpeg; print(numpy.__version__ >= '1.26', simplejpeg.__file__)"
        new_enough, place = running.run(f"{CURRENT}/bin/python", "-c", ask).stdout.split()
    finally:
        running.run("sh", "-c", f"rm -r {system}/numpy {system}/numpy-* {system}/simplejpeg.py")
    assert new_enough == "True"
    assert place.startswith(("/opt/edge-classifier/", CURRENT))


def test_extra_is_added_by_the_command_that_an_error_names_and_outlives_an_upgrade(
    running: Pi,
) -> None:
    running.path("/srv/phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    said = running.run("edge-classify", "/srv/phone.heic", check=False).stderr
    assert "which needs the extra [heic]. sudo " in said
    script, *arguments = said.partition(" sudo ")[2].split()
    assert script == f"{CHECKOUT}/scripts/install.sh"
    running.install(*arguments)
    running.install("upgrade")
    running.run(f"{CURRENT}/bin/python", "-c", "import pillow_heif")


def test_uninstall_keeps_what_is_the_users_until_it_is_purged(running: Pi) -> None:
    running.write(f"{STATE}/models/own.tflite", "")
    kept = (CONFIG, SECRET, f"{STATE}/models/own.tflite")
    running.install("uninstall")
    assert running.systemctl("is-active", UNIT, check=False) == "inactive"
    left = [path for path in files(running) if path.startswith(OWN)]
    assert {path for path in left if path.startswith("/etc")} == {CONFIG, SECRET}
    assert set(kept) <= set(left)
    assert [path for path in left if not path.startswith(("/var/lib/", "/etc/"))] == []

    assert "nothing to upgrade" in running.install("upgrade", check=False).stderr

    # Twice: that there is nothing to remove is no failure.
    for _ in range(2):
        running.install("uninstall", "--purge")
    assert [path for path in files(running) if path.startswith(OWN)] == []
    running.install()
