"""``scripts/install.sh`` on a machine of its own: installs, upgrades, rolls back, removes."""

from collections.abc import Mapping

import pytest

from tests.system.pi import CHECKOUT, CONFIG, CURRENT, SECRET, SETTINGS, UNIT, Pi

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

COMMAND = "/usr/local/bin/edge-classify"
PLACES = ("/opt", "/etc", "/usr", "/root", "/var/lib", "/srv")
OWN = (
    "/opt/edge-classifier",
    "/etc/edge-classifier",
    f"/etc/systemd/system/{UNIT}",
    f"/etc/systemd/system/multi-user.target.wants/{UNIT}",
    COMMAND,
)


def files(pi: Pi) -> Mapping[str, str]:
    """Path to what distinguishes one version of it, of all that installing might touch."""
    command = ["find", *PLACES, "-xdev", "-not", "-type", "d", "-printf", "%p\t%T@ %s %m %l\n"]
    lines = pi.run(*command, timeout_s=200).stdout.splitlines()
    return dict(line.split("\t", 1) for line in lines)


def test_install_puts_files_only_where_it_says(running: Pi) -> None:
    before = files(running)
    running.install()
    changed = {path for path, version in files(running).items() if before.get(path) != version}
    state = "/var/lib/private/edge-classifier"
    assert [path for path in changed if not path.startswith((*OWN, state))] == []


def test_install_again_keeps_settings_and_leaves_one_release(running: Pi) -> None:
    before = running.release()
    running.install()
    assert running.release() != before
    assert running.run("ls", f"{CURRENT}/..").stdout.split() == [running.release().split("/")[-1]]
    assert running.path(CONFIG).read_text("utf-8") == SETTINGS
    assert running.systemctl("is-enabled", UNIT) == "enabled"
    assert running.shows("ActiveState") == "active"
    assert running.run("edge-classify", "--version").stdout.startswith("edge-classify ")


@pytest.mark.parametrize("action", ["install", "upgrade", "uninstall"])
def test_dry_run_tells_commands_and_changes_nothing(running: Pi, action: str) -> None:
    before = files(running), running.shows("MainPID")
    said = running.install(action, "--dry-run").stdout
    assert f"systemctl {'disable' if action == 'uninstall' else 'restart'}" in said
    state = "/var/lib/private/"
    now = {path: seen for path, seen in files(running).items() if not path.startswith(state)}
    assert now.items() <= before[0].items()
    assert running.shows("MainPID") == before[1]


def test_upgrade_that_cannot_be_built_leaves_the_old_one_running(running: Pi) -> None:
    before = running.release(), running.shows("MainPID")
    done = running.install("upgrade", wheels="/nowhere", check=False)
    assert done.returncode != 0
    assert (running.release(), running.shows("MainPID")) == before
    assert len(running.run("ls", "/opt/edge-classifier/releases").stdout.split()) == 1


def test_upgrade_that_refuses_the_settings_leaves_the_old_one_running(running: Pi) -> None:
    running.write(CONFIG, f"{SETTINGS}no_such_key = 1\n")
    before = running.release(), running.shows("MainPID")
    done = running.install("upgrade", check=False)
    assert done.returncode == 78
    assert "no_such_key" in done.stderr
    assert (running.release(), running.shows("MainPID")) == before


def test_upgrade_that_does_not_start_is_rolled_back(running: Pi) -> None:
    running.run("cp", "-r", CHECKOUT, "/opt/broken", timeout_s=200)
    running.write("/opt/broken/edge_classifier/cli/run.py", "raise RuntimeError('broken')\n")
    before = running.release()
    done = running.install("upgrade", source="/opt/broken", check=False)
    assert done.returncode == 1
    assert "going back" in done.stderr
    assert running.release() == before
    assert running.shows("ActiveState") == "active"
    assert len(running.run("ls", "/opt/edge-classifier/releases").stdout.split()) == 1


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


def test_upgrade_of_nothing_is_refused(running: Pi) -> None:
    running.install("uninstall")
    done = running.install("upgrade", check=False)
    assert done.returncode == 1
    assert "nothing to upgrade" in done.stderr
    running.install()


def test_uninstall_keeps_what_is_the_users(running: Pi) -> None:
    running.write("/opt/edge-classifier/models/own.tflite", "")
    running.install("uninstall")
    assert running.systemctl("is-active", UNIT, check=False) == "inactive"
    for gone in (CURRENT, "/opt/edge-classifier/releases", f"/etc/systemd/system/{UNIT}", COMMAND):
        assert running.run("test", "-e", gone, check=False).returncode == 1, gone
    for kept in (CONFIG, SECRET, "/opt/edge-classifier/models/own.tflite"):
        running.run("test", "-e", kept)
    running.install()
    assert running.path(CONFIG).read_text("utf-8") == SETTINGS
    assert running.shows("ActiveState") == "active"


def test_uninstall_purge_leaves_nothing(running: Pi) -> None:
    running.install("uninstall", "--purge")
    state = ("/var/lib/private/edge-classifier", "/var/lib/edge-classifier")
    left = [path for path in files(running) if path.startswith((*OWN, *state))]
    assert left == []
    # And again: there is nothing to remove, which is no failure.
    running.install("uninstall", "--purge")
    running.install()


def test_install_unknown_option_is_explained(running: Pi) -> None:
    done = running.install("--wrong", check=False)
    assert done.returncode == 2
    assert "uninstall" in done.stderr
