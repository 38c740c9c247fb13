"""The unit under a real systemd: readiness, watchdog, credentials, state, sandbox."""

import json
import re
import time
from typing import Any

import pytest

from tests.system.install.pi import (
    BROKER,
    CONFIG,
    CURRENT,
    PASSWORD,
    SECRET,
    SETTINGS,
    UNIT,
    WATCHDOG_S,
    Pi,
)
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

STUCK = "/run/stuck"
# A sitecustomize.py: inference never returns, while every thread of the daemon goes on.
STICKY_ENGINE = f"""
import time
from pathlib import Path
from edge_classifier.engine.tflite import TfliteEngine

real = TfliteEngine.invoke

def invoke(self):
    while Path("{STUCK}").exists():
        time.sleep(0.1)
    real(self)

TfliteEngine.invoke = invoke
"""
SANDBOX_PROBE = """
import ctypes, json, os, sys
from pathlib import Path

def refused(path):
    try:
        Path(path).write_text("")
    except OSError:
        return True
    return False

number = ctypes.POINTER(ctypes.c_int)
order = ctypes.CFUNCTYPE(ctypes.c_int, number, number)
numbers = (ctypes.c_int * 3)(3, 1, 2)
ctypes.CDLL(None).qsort(numbers, 3, 4, order(lambda a, b: a[0] - b[0]))
print(json.dumps({
    "refused": [path for path in sys.argv[1:] if refused(path)],
    "user": os.getuid(),
    "home": os.access("/root", os.R_OK),
    "camera": Path("/opt/camera").read_text(),
    "callback": list(numbers),
    "state_mode": oct(Path(os.environ["STATE_DIRECTORY"]).stat().st_mode & 0o777),
    "credentials": sorted(os.listdir(os.environ["CREDENTIALS_DIRECTORY"])),
}))
"""


def milliseconds(bench: str) -> float:
    """Median time of the bare network that ``edge-classify bench --json`` measured."""
    report: dict[str, Any] = json.loads(bench)
    return float(report["frames"][0]["bare_invoke_ms"]["median"])


def test_service_started_reports_ready_and_classifies(running: Pi) -> None:
    assert running.shows("ActiveState") == "active"
    assert running.shows("StatusText")
    running.wait_for("espresso")
    eventually(lambda: running.received("availability") == "online")


def test_service_stopped_publishes_offline_and_exits_0(running: Pi) -> None:
    running.wait_for("espresso")
    running.systemctl("stop", UNIT)
    assert running.shows("ExecMainCode") == "1"  # CLD_EXITED
    assert running.shows("ExecMainStatus") == "0"
    assert running.shows("Result") == "success"
    eventually(lambda: running.received("availability") == "offline")


def test_service_reloaded_with_wrong_settings_says_why_and_goes_on(running: Pi) -> None:
    before = running.shows("MainPID")
    running.write(CONFIG, f"{SETTINGS}no_such_key = 1\n")
    running.systemctl("reload", UNIT)
    eventually(lambda: "no_such_key" in running.journal(), within_s=60)
    assert running.shows("ActiveState") == "active"
    assert running.shows("MainPID") == before


def test_service_with_a_wrong_password_stays_up_and_says_why(running: Pi) -> None:
    running.write(SECRET, "swordfish", mode=0o600)
    running.systemctl("restart", UNIT)
    refusal = re.compile("authori[sz]ed|refused", re.IGNORECASE)
    eventually(lambda: refusal.search(running.journal()), within_s=60)
    assert running.shows("ActiveState") == "active"
    assert "swordfish" not in running.journal()


def test_service_without_any_secret_starts(running: Pi) -> None:
    running.path(SECRET).unlink()
    running.systemctl("restart", UNIT)
    assert running.shows("ActiveState") == "active"


def test_service_with_wrong_settings_fails_and_is_not_restarted(running: Pi) -> None:
    running.write(CONFIG, "[cameras.front]\nno_such_key = 1\n")
    running.systemctl("restart", UNIT, check=False)
    assert running.shows("ActiveState") == "failed"
    assert running.shows("ExecMainStatus") == "78"
    assert running.shows("NRestarts") == "0"
    assert "no_such_key" in running.journal()


def test_service_killed_comes_back(running: Pi) -> None:
    before = running.shows("MainPID")
    running.run("kill", "-KILL", before)
    eventually(lambda: running.shows("MainPID") not in {before, "0"}, within_s=30)
    eventually(lambda: running.shows("ActiveState") == "active", within_s=60)


def test_watchdog_stuck_inference_is_restarted_and_recovers(running: Pi) -> None:
    running.write("/opt/sticky/sitecustomize.py", STICKY_ENGINE)
    running.change_unit(f"WatchdogSec={WATCHDOG_S}\nEnvironment=PYTHONPATH=/opt/sticky")
    running.wait_for("espresso")
    running.run("touch", STUCK)
    try:
        eventually(lambda: "Watchdog timeout" in running.journal(), within_s=WATCHDOG_S + 30)
    finally:
        running.run("rm", STUCK)
    eventually(lambda: running.shows("NRestarts") == "1", within_s=60)
    eventually(lambda: running.shows("ActiveState") == "active", within_s=60)


def test_watchdog_broker_and_camera_gone_is_not_tripped(running: Pi) -> None:
    running.change_unit(f"WatchdogSec={WATCHDOG_S}")
    running.wait_for("espresso")
    before = running.shows("MainPID")
    running.systemctl("stop", BROKER)
    running.run("rm", "-rf", "/srv/pictures")
    time.sleep(3 * WATCHDOG_S)
    assert running.shows("MainPID") == before
    running.show("espresso")
    running.systemctl("start", BROKER)
    running.wait_for("espresso")
    assert running.shows("MainPID") == before


def test_state_power_cut_is_there_again(running: Pi) -> None:
    running.wait_for("espresso")
    state = running.path("/var/lib/private/edge-classifier")
    before = {path.name for path in state.iterdir()}
    assert before
    running.machine.cut_power()
    running.machine.boot()
    eventually(lambda: running.shows("ActiveState") == "active", within_s=60)
    assert before <= {path.name for path in state.iterdir()}
    running.systemctl("start", BROKER)
    running.wait_for("espresso")


def test_machine_shut_down_service_ends_well_before_the_broker(running: Pi) -> None:
    running.wait_for("espresso")
    running.machine.halt()
    running.machine.boot()
    said = running.run("journalctl", "--boot=-1", "--output=cat", "-u", UNIT, "-u", BROKER).stdout
    stopped, broker = (said.index(f"Stopping {name}") for name in (UNIT, BROKER))
    assert stopped < said.index(f"Stopped {UNIT}") < broker
    assert "Failed with result" not in said


def test_sandbox_service_gets_what_it_needs_and_no_more(running: Pi) -> None:
    running.write("/opt/probe.py", SANDBOX_PROBE)
    # As the nodes of cameras: for root and the group video.
    running.run("install", "-m", "640", "-g", "video", "/etc/hostname", "/opt/camera")
    places = ["/etc/x", "/opt/edge-classifier/x", "/usr/x", "/root/x", "/proc/sys/kernel/x"]
    found = json.loads(running.in_sandbox(f"{CURRENT}/bin/python", "/opt/probe.py", *places))
    assert found.pop("user") >= 61184  # systemd's range of dynamic users
    assert found == {
        "refused": places,
        "home": False,
        "camera": running.path("/etc/hostname").read_text("utf-8"),
        "callback": [1, 2, 3],
        "state_mode": "0o700",
        "credentials": ["secrets_mqtt-password"],
    }


def test_sandbox_network_gives_the_known_label_at_full_speed(running: Pi) -> None:
    running.systemctl("stop", UNIT)
    command = f"{CURRENT}/bin/edge-classify"
    said = running.in_sandbox(command, "--image", "/srv/pictures/espresso.jpg", "--format=json")
    assert json.loads(said)[0]["predictions"][0]["label"] == "espresso"
    bench = (command, "bench", "--json", "--rounds", "20")
    # By turns, and the quickest of each: this machine may be busy for some of the time.
    turns = [
        (milliseconds(running.in_sandbox(*bench)), milliseconds(running.run(*bench).stdout))
        for _ in range(3)
    ]
    inside, outside = (min(times) for times in zip(*turns, strict=True))
    # Without XNNPACK's fast kernels it takes about ten times as long.
    assert inside < 3 * outside


def test_secrets_service_runs_are_nowhere_to_be_seen(running: Pi) -> None:
    running.wait_for("espresso")
    pid = running.shows("MainPID")
    environment = running.run("cat", f"/proc/{pid}/environ", f"/proc/{pid}/cmdline").stdout
    assert PASSWORD not in environment + running.journal() + running.received("info")
