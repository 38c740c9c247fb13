"""A small share of what scripts/trials/ try at size: the promises hold; nothing is timed."""

import subprocess
import sys

import pytest

pytest.importorskip("dj_database_url", reason="the extra [fleet] is not installed")

from tests.conftest import REPOSITORY
from tests.mosquitto import mosquitto
from tests.postgres import programs

pytestmark = pytest.mark.system


def run(script: str, *options: str) -> str:
    command = [sys.executable, f"scripts/trials/{script}", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_small_fleet_whose_recorders_die_loses_nothing_and_pages_answer() -> None:
    programs()
    mosquitto()
    options = ("--devices", "20", "--minutes", "0.4", "--burst-s", "2", "--limit-ms", "0")
    assert "1480 on record: 0 lost, 0 twice" in run("stress_fleet.py", *options)


def test_days_with_a_fast_clock_lose_no_event() -> None:
    mosquitto()
    assert "door: events" in run("simulate_month.py", "--minutes", "0.6", "--weeks", "0.3")
