"""A month in an hour: daemon and recorder with a fast clock, and nothing may grow.

    .venv-dev/bin/python scripts/trials/simulate_month.py [--minutes N] [--weeks N]

The real daemon, recorder, live view and housekeeping in this process, and a real mosquitto, on the
loopback interface and in folders that go in the end. Wall clocks run as fast as it takes, through
both changes of summer time of a zone that has them five weeks apart; durations stay real. A camera
makes an event of each picture. Every simulated day the broker dies, the network camera is lost, the
model is swapped, the configuration is read again and logs are rotated; retention comes every hour.
Prints counts at each simulated week. Exits with 1 where one of them grows after the second week, or
an event is missing. Needs mosquitto and the extra [dev].
"""

import argparse
import gc
import itertools
import json
import logging
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

import django.utils.timezone
import paho.mqtt.client  # noqa: F401 (takes its clock, a real one, when it is imported)

_ZONE = "Africa/Casablanca"
# Its clocks go back on February 15, and forward on March 22.
_BEGIN = datetime(2026, 2, 14, tzinfo=UTC)
_DAY_S, _WEEK_S = 86_400.0, 604_800.0
_RETENTION_DAYS = 7
# Of the records that retention has not come to yet.
_CHECKED_DAYS = 5
_STEADY_S = 14.0
_FPS = 20.0
_LOG_BYTES = 1_000_000
# Of the count two weeks after the start, and beyond it.
_MAY_GROW = {
    "threads": (1.0, 2),
    "open files": (1.0, 4),
    "memory MB": (1.1, 6),
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


class FastClock:
    """The wall clock, sped up. ``install`` comes before whoever takes it is imported."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._begun = time.monotonic()

    def __call__(self) -> float:
        """UTC seconds."""
        return _BEGIN.timestamp() + (time.monotonic() - self._begun) * self.speed

    def now(self) -> datetime:
        """The same as Django has it."""
        return datetime.fromtimestamp(self(), UTC)

    @property
    def passed_s(self) -> float:
        """Simulated."""
        return self() - _BEGIN.timestamp()

    def install(self) -> None:
        """Be what the package's parts take for the clock: the defaults of their parameters."""
        os.environ["TZ"] = _ZONE
        time.tzset()
        real = time.localtime
        time.localtime = lambda secs=None: real(self() if secs is None else secs)
        time.time = self
        django.utils.timezone.now = self.now


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
    recorder: Any
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

        logs = self._log_to_file()
        with ExitStack() as stack:
            broker = stack.enter_context(Broker(self._folder / "broker"))
            camera = MjpegCamera(fps=5)
            camera.start()
            stack.callback(camera.kill)
            listener = stack.enter_context(Listener(broker.port, "edge-classifier/+/response/#"))
            recorder = self._start_page(broker.port, stack)
            settings = self._settings(broker.port, camera.url)
            service = Service(settings, read_settings=lambda: settings)
            parts = Parts(broker, camera, listener, recorder, service, logs)
            driver = threading.Thread(target=self._drive, args=(parts,), name="driver", daemon=True)
            driver.start()
            service.run()
            driver.join(5)
            if driver.is_alive():
                return [*self._problems, "it was ended before its time"]
            self._check_events(recorder)
        return [*self._problems, *self._report()]

    def _log_to_file(self) -> RotatingFileHandler:
        """As the program logs, but into a file that is rotated."""
        from edge_classifier.cli.log import LineFormatter, RateLimit

        folder = self._folder / "logs"
        folder.mkdir()
        handler = RotatingFileHandler(folder / "log", maxBytes=_LOG_BYTES, backupCount=3)
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(message)s"))
        handler.addFilter(RateLimit())
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(logging.INFO)
        return handler

    def _start_page(self, port: int, stack: ExitStack) -> Any:
        """Recorder, live view and housekeeping, with a simulated clock; the recorder."""
        from edge_classifier.web import startup
        from edge_classifier.web.config.settings import (
            RetentionSettings,
            WebMqttSettings,
            WebSettings,
        )

        settings = WebSettings(
            state_folder=self._folder / "page",
            mqtt=WebMqttSettings(port=port),
            retention=RetentionSettings(days=_RETENTION_DAYS, max_records=0, max_gb=0),
        )
        folders = startup.configure(settings)
        startup.migrate(folders)
        # These work only after Django has been set up.
        from edge_classifier.web.live.live_client import LiveClient
        from edge_classifier.web.maintenance.housekeeping import Housekeeping
        from edge_classifier.web.recorder.recorder import Recorder

        # It compares this clock with the other one, to see when somebody sets that.
        recorder, live = Recorder(settings, clock=self._clock), LiveClient(settings)
        hour_s = 3600 / self._clock.speed
        housekeeping = Housekeeping(
            settings.retention, folders, clock=self._read_clock, wait_s=hour_s, period_s=hour_s
        )
        for part in (recorder, live, housekeeping):
            part.start()
            stack.callback(part.stop)
        return recorder

    def _read_clock(self) -> Any:
        from edge_classifier.web.maintenance.clock import ClockReading

        return ClockReading(self._clock(), "boot", self._clock.passed_s, synchronized=True)

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
        # After a connection that broke sooner, all wait longer and longer before they connect.
        if time.monotonic() - self._killed_at > _STEADY_S:
            self._killed_at = time.monotonic()
            parts.broker.kill()
            time.sleep(0.3)
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
        counts = {"day": float(day), **self._files(), **self._rows(), **_process()}
        counts["outbox"] = parts.service._publisher.status.waiting
        counts["recorded"] = parts.recorder.status.recorded
        if not self._counts:
            print("".join(f"{name:>13}" for name in counts))
        self._counts.append(counts)
        print("".join(f"{value:>13.10g}" for value in counts.values()), flush=True)

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

    def _check_events(self, recorder: Any) -> None:
        """Each event of the last days once: ``seq`` has no gaps but for the ends.

        An end has a number of its own, and completes the row that the beginning made.
        """
        _wait(lambda: not recorder.status.waiting, 30)
        since = datetime.fromtimestamp(self._clock() - _CHECKED_DAYS * _DAY_S, UTC)
        sql = (
            "SELECT device || '/' || name, seq, source = 'event' AND duration_s IS NOT NULL"
            " FROM web_record JOIN web_camera ON camera_id = web_camera.id"
            " WHERE recorded_at > ? ORDER BY 1, seq"
        )
        with closing(sqlite3.connect(self._folder / "page/web.db")) as database:
            rows = database.execute(sql, (f"{since:%F %T}",)).fetchall()
        for name, group in itertools.groupby(rows, key=lambda row: row[0]):
            begun = [(seq, seq + 1 + is_ended) for _, seq, is_ended in group]
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


def _process() -> dict[str, float]:
    """Threads, descriptors and memory of this process."""
    status = Path("/proc/self/status").read_text("ascii").splitlines()
    rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return {
        "threads": float(len(list(Path("/proc/self/task").iterdir()))),
        "open files": float(len(list(Path("/proc/self/fd").iterdir()))),
        "memory MB": round(rss / 1024, 1),
    }


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
