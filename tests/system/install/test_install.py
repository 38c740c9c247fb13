"""``scripts/install.sh`` on a machine of its own: installs, upgrades, rolls back."""

import pytest

from tests.system.install.pi import CHECKOUT, CONFIG, CURRENT, SETTINGS, STATE, UNIT, Pi

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

COMMAND = "/usr/local/bin/edge-classify"


def releases(pi: Pi) -> list[str]:
    """Names of the releases that are there."""
    return pi.run("ls", "/opt/edge-classifier/releases").stdout.split()


def test_install_again_changes_nothing_but_the_release(running: Pi) -> None:
    before, release = running.files(), running.release()
    running.install()
    assert running.release() != release
    assert len(releases(running)) == 1
    changed = {path for path, version in running.files().items() if before.get(path) != version}
    own = ("/opt/edge-classifier/", f"/etc/systemd/system/{UNIT}", COMMAND, STATE)
    assert [path for path in changed if not path.startswith(own)] == []
    assert running.systemctl("is-enabled", UNIT) == "enabled"
    assert running.shows("ActiveState") == "active"
    assert running.run("edge-classify", "--version").stdout.startswith("edge-classify ")


@pytest.mark.parametrize("action", ["install", "upgrade", "uninstall"])
def test_dry_run_tells_commands_and_changes_nothing(running: Pi, action: str) -> None:
    before = running.files(), running.shows("MainPID")
    said = running.install(action, "--dry-run").stdout
    assert f"systemctl {'disable' if action == 'uninstall' else 'restart'}" in said
    now = {path: seen for path, seen in running.files().items() if not path.startswith(STATE)}
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
