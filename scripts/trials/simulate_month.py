"""A month in an hour: daemon and recorder with a fast clock, and nothing may grow.

    .venv-dev/bin/python scripts/trials/simulate_month.py [--minutes N] [--weeks N]

The real daemon in this process, the page's recorder, live view and housekeeping in another, and a
real mosquitto, on the loopback interface and in folders that go in the end. Wall clocks run as fast
as it takes, through both changes of summer time of a zone that has them five weeks apart; durations
stay real. A camera makes an event of each picture. Every simulated day the broker dies, the network
camera is lost, the model is swapped, the configuration is read again and logs are rotated;
retention comes every hour. Prints counts at each simulated week, of memory that of each process.
Exits with 1 where one of them grows after the second week, or an event is missing. Needs mosquitto
and the extra [dev].
"""

import argparse
import gc
import itertools
import json
import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import paho.mqtt.client  # noqa: F401 (takes its clock, a real one, when it is imported)
from fast_clock import FastClock
from page_process import PageProcess, log_to, measure_process

from edge_classifier.malloc import M_ARENA_MAX, mallopt

_DAY_S, _WEEK_S = 86_400.0, 604_800.0
# Of the records that retention has not come to yet.
_CHECKED_DAYS = 5
_STEADY_S = 14.0
_FPS = 20.0
# Of the count two weeks after the start, and beyond it.
_MAY_GROW = {
    "daemon threads": (1.0, 1),
    "page threads": (1.0, 1),
    "daemon opened": (1.0, 2),
    "page opened": (1.0, 2),
    "daemon memory": (1.1, 3),
    "page memory": (1.1, 3),
    "daemon files": (1.1, 6),
    "daemon MB": (1.1, 1),
    "page files": (1.25, 20),
    "page MB": (1.25, 2),
    "log MB": (1.1, 1),
    "records": (1.25, 50),
    "pictures": (1.25, 50),
    "unmatched": (1.0, 50),
    "outbox": (1.0, 100),
    "names": (1.0, 4),
}


def main() -> int:
    """Live through the weeks, and print a table."""
    parser = argparse.ArgumentParser(description="A month in an hour.")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="N", help="that it takes")
    parser.add_argument("--weeks", type=float, default=5.3, metavar="N", help="that pass")
    options = parser.parse_args()
    clock = FastClock(options.weeks * _WEEK_S / (options.minutes * 60))
    clock.install()
    with tempfile.TemporaryDirectory(prefix="simulate-month-") as folder:
        month = Month(Path(folder), clock, options.weeks)
        problems = month.run()
    for problem in problems:
        print(f"BROKEN: {problem}")
    return 1 if problems else 0


@dataclass(frozen=True)
class Parts:
    """What is driven from outside."""

    broker: Any
    camera: Any
    listener: Any
    page: PageProcess
    service: Any
    logs: RotatingFileHandler


class Month:
    """Everything that runs, and what happens to it."""

    def __init__(self, folder: Path, clock: FastClock, weeks: float) -> None:
        self._folder = folder
        self._clock = clock
        self._weeks = weeks
        self._counts: list[dict[str, float]] = []
        self._problems: list[str] = []
        self._killed_at = 0.0

    def run(self) -> list[str]:
        """The daemon in this thread, which signals need; the driver in another."""
        from edge_classifier.daemon.service import Service
        from tests.mjpeg import MjpegCamera
        from tests.mosquitto import Broker, Listener

        mallopt(M_ARENA_MAX, 2)  # As the daemon's command does.
        (self._folder / "logs").mkdir()
        logs = log_to(self._folder / "logs/daemon")
        with ExitStack() as stack:
            broker = stack.enter_context(Broker(self._folder / "broker"))
            page = PageProcess(self._folder, self._clock, broker.port)
            stack.callback(page.stop)
            camera = MjpegCamera(fps=5)
            camera.start()
            stack.callback(camera.kill)
            listener = stack.enter_context(Listener(broker.port, "edge-classifier/+/response/#"))
            settings = self._settings(broker.port, camera.url)
            service = Service(settings, read_settings=lambda: settings)
            parts = Parts(broker, camera, listener, page, service, logs)
            driver = threading.Thread(target=self._drive, args=(parts,), name="driver", daemon=True)
            driver.start()
            service.run()
            driver.join(5)
            if driver.is_alive():
                return [*self._problems, "it was ended before its time"]
            self._check_events(page)
        return [*self._problems, *self._report()]

    def _settings(self, port: int, camera: str) -> Any:
        from edge_classifier.config import settings as config
        from edge_classifier.config.mqtt_settings import MqttSettings, SnapshotSettings
        from tests.running_daemon import colours, model

        state = self._folder / "daemon"
        at_once = config.DecisionSettings(smoothing="none", dwell_s=0, unknown_dwell_s=0)
        pictures = colours(self._folder / "pictures", "red", "green", "blue")
        model(state / "models" / "german.tflite", ("rot", "grün", "blau"))
        return config.Settings(
            device=config.DeviceSettings(name="pi", state_folder=state),
            model=config.ModelSettings(use=str(model(self._folder / "rgb.tflite"))),
            mqtt=MqttSettings(host="127.0.0.1", port=port, stats_s=1, heartbeat_s=1),
            http=config.HttpSettings(enabled=False),
            store=config.StoreSettings(enabled=True, max_pictures=200, min_interval_s=0),
            snapshots=SnapshotSettings(),
            cameras={
                "door": config.CameraSettings(
                    source=f"pictures:{pictures}",
                    picture_s=0,
                    rate_fps=_FPS,
                    decision=at_once,
                    quiet_hours=("01:30-03:30",),
                ),
                "yard": config.CameraSettings(
                    source=camera, rate_fps=2, decision=at_once, frozen_s=0, retry_max_s=1
                ),
            },
        )

    def _drive(self, parts: Parts) -> None:
        """Day by day, until the weeks have passed; then the daemon is ended."""
        try:
            day = 0
            while self._clock.passed_s < self._weeks * _WEEK_S:
                day += 1
                self._spoil_day(parts, day)
                while self._clock.passed_s < day * _DAY_S:
                    time.sleep(0.05)
                if day % 7 == 0:
                    self._take_counts(day, parts)
        except Exception as error:
            self._problems.append(f"the driver ended: {error!r}")
            raise
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def _spoil_day(self, parts: Parts, day: int) -> None:
        """What happens once a day."""
        parts.logs.doRollover()
        parts.page.ask(rotates_logs=True)
        # After a connection that broke sooner, all wait longer and longer before they connect.
        if time.monotonic() - self._killed_at > _STEADY_S:
            self._killed_at = time.monotonic()
            # What it has taken, and the recorder has not read, would be lost: that is the broker's
            # share, and this asks for ours.
            parts.broker.freeze()
            time.sleep(0.3)
            _wait(lambda: not parts.page.ask()["unwritten"])
            parts.broker.kill()
            # Logrotate does the same to a file that stays open.
            os.truncate(parts.broker.folder / "mosquitto.log", 0)
            parts.broker.start()
        parts.camera.kill()
        time.sleep(0.3)
        parts.camera.start()
        os.kill(os.getpid(), signal.SIGHUP)
        body = json.dumps({"transaction": day, "model": "german" if day % 2 else ""})
        parts.listener.messages.clear()
        for _ in range(120):
            # Nobody may listen yet: requests are not kept.
            _wait(parts.listener.client.is_connected)
            with suppress(RuntimeError):  # The connection is lost, and not known to be.
                parts.listener.publish("edge-classifier/pi/request/model", body)
            if _wait(lambda: bool(parts.listener.messages), 1.0):
                break
        else:
            self._problems.append(f"day {day}: the model was not swapped")

    def _take_counts(self, day: int, parts: Parts) -> None:
        gc.collect()
        counts = {"day": float(day), **measure_process("daemon"), **parts.page.ask()}
        counts |= {**self._files(), **self._rows()}
        counts["outbox"] = parts.service._publisher.status.waiting
        if not self._counts:
            print("".join(f"{name:>15}" for name in counts))
        self._counts.append(counts)
        print("".join(f"{value:>15.10g}" for value in counts.values()), flush=True)

    def _files(self) -> dict[str, float]:
        found = {}
        for name, title in (("daemon", "daemon"), ("page", "page"), ("logs", "log")):
            files = [path for path in (self._folder / name).rglob("*") if path.is_file()]
            if title != "log":
                found[f"{title} files"] = float(len(files))
            found[f"{title} MB"] = round(sum(map(_size, files)) / 1e6, 1)
        return found

    def _rows(self) -> dict[str, float]:
        names = "(SELECT count(*) FROM web_label) + (SELECT count(*) FROM web_camera)"
        queries = {
            "records": "SELECT count(*) FROM web_record",
            "pictures": "SELECT count(*) FROM web_picture",
            "unmatched": "SELECT count(*) FROM web_eventpicture",
            "names": f"SELECT {names}",
        }
        return {name: _value(self._folder / "page/web.db", sql) for name, sql in queries.items()}

    def _check_events(self, page: PageProcess) -> None:
        """Each event of the last days once: ``seq`` has no gaps but for the ends.

        An end has a number of its own, and completes the row that the beginning made.
        """
        _wait(lambda: not page.ask()["unwritten"], 30)
        since = datetime.fromtimestamp(self._clock() - _CHECKED_DAYS * _DAY_S, UTC)
        sql = (
            "SELECT device || '/' || name, seq, source = 'event' AND duration_s IS NOT NULL"
            " FROM web_record JOIN web_camera ON camera_id = web_camera.id"
            " WHERE recorded_at > ? ORDER BY 1, seq"
        )
        with closing(sqlite3.connect(self._folder / "page/web.db")) as database:
            rows = database.execute(sql, (f"{since:%F %T}",)).fetchall()
        for name, group in itertools.groupby(rows, key=lambda row: row[0]):
            found = [(seq, is_ended) for _, seq, is_ended in group]
            begun = [(seq, seq + 1 + is_ended) for seq, is_ended in found if seq is not None]
            if lost := len(found) - len(begun):
                self._problems.append(f"{lost} events of {name} have an end and no beginning")
            print(f"{name}: events {begun[0][0]} to {begun[-1][0]}, {len(begun)} on record")
            if any(after != seq for (_, after), (seq, _) in itertools.pairwise(begun)):
                self._problems.append(f"events of {name} are missing or there twice")

    def _report(self) -> list[str]:
        if len(self._counts) < 3:
            print("too few weeks to judge growth: --weeks 3 at least")
            return []
        before, after = self._counts[1], self._counts[-1]
        return [
            f"{name} grew from {before[name]:g} to {after[name]:g}"
            for name, (share, more) in _MAY_GROW.items()
            if after[name] > before[name] * share + more
        ]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _value(file: Path, sql: str) -> float:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as database:
        return float(database.execute(sql).fetchone()[0])


def _wait(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Whether it became true in time."""
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


if __name__ == "__main__":
    sys.exit(main())
