"""``scripts/install.sh uninstall``; it leaves the machine bare."""

import pytest

from tests.system.install.pi import CONFIG, SECRET, STATE, UNIT, Pi

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

OWN = (
    "/opt/edge-classifier",
    "/etc/edge-classifier",
    f"/etc/systemd/system/{UNIT}",
    f"/etc/systemd/system/multi-user.target.wants/{UNIT}",
    "/usr/local/bin/edge-classify",
    STATE,
    "/var/lib/edge-classifier",
)


def test_uninstall_keeps_what_is_the_users_until_it_is_purged(running: Pi) -> None:
    running.write(f"{STATE}/models/own.tflite", "")
    kept = (CONFIG, SECRET, f"{STATE}/models/own.tflite")
    running.install("uninstall")
    assert running.systemctl("is-active", UNIT, check=False) == "inactive"
    left = [path for path in running.files() if path.startswith(OWN)]
    assert {path for path in left if path.startswith("/etc")} == {CONFIG, SECRET}
    assert set(kept) <= set(left)
    assert [path for path in left if not path.startswith(("/var/lib/", "/etc/"))] == []

    assert "nothing to upgrade" in running.install("upgrade", check=False).stderr

    # Twice: that there is nothing to remove is no failure.
    for _ in range(2):
        running.install("uninstall", "--purge")
    assert [path for path in running.files() if path.startswith(OWN)] == []
