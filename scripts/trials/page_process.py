"""The page of a trial, in a process of its own, and what a process takes."""

import ctypes
import gc
import logging
import threading
import time
from contextlib import ExitStack, suppress
from logging.handlers import RotatingFileHandler
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from fast_clock import FastClock

from edge_classifier.malloc import M_ARENA_MAX, M_MMAP_THRESHOLD, mallopt

_RETENTION_DAYS = 7
_LOG_BYTES = 1_000_000


class PageProcess:
    """The page's recorder, live view and housekeeping, in a process of their own."""

    def __init__(self, folder: Path, clock: FastClock, port: int) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # The driver, and the main thread when all is over.
        self._lock = threading.Lock()
        arguments = (folder, clock, port, theirs)
        self._process = context.Process(target=_be_page, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        # Before the first event.
        self.ask()

    def ask(self, *, rotates_logs: bool = False) -> dict[str, float]:
        """What it counts. Raises EOFError when it has ended."""
        with self._lock:
            self._pipe.send(rotates_logs)
            counts: dict[str, float] = self._pipe.recv()
            return counts

    def stop(self) -> None:
        """End it."""
        self._pipe.close()
        self._process.join(20)


def _be_page(folder: Path, clock: FastClock, port: int, pipe: Connection) -> None:
    """Run, and answer with counts, until nobody can ask any more."""
    clock.install()
    logs = log_to(folder / "logs/page")
    # As the page's command does; it also gives back what is free every 30 seconds.
    mallopt(M_ARENA_MAX, 2)
    mallopt(M_MMAP_THRESHOLD, 131_072)
    from edge_classifier.web import startup
    from edge_classifier.web.config.settings import (
        RetentionSettings,
        WebMqttSettings,
        WebSettings,
    )

    settings = WebSettings(
        state_folder=folder / "page",
        mqtt=WebMqttSettings(port=port),
        retention=RetentionSettings(days=_RETENTION_DAYS, max_records=0, max_gb=0),
    )
    folders = startup.configure(settings)
    startup.migrate(folders)
    # These work only after Django has been set up.
    from edge_classifier.web.live.live_client import LiveClient
    from edge_classifier.web.maintenance.clock import ClockReading
    from edge_classifier.web.maintenance.housekeeping import Housekeeping
    from edge_classifier.web.recorder.recorder import Recorder

    def read_clock() -> ClockReading:
        return ClockReading(clock(), "boot", clock.passed_s, synchronized=True)

    # It compares this clock with the other one, to see when somebody sets that.
    recorder, live = Recorder(settings, clock=clock), LiveClient(settings)
    hour_s = 3600 / clock.speed
    housekeeping = Housekeeping(
        settings.retention, folders, clock=read_clock, wait_s=hour_s, period_s=hour_s
    )
    with ExitStack() as stack, suppress(EOFError):
        for part in (recorder, live, housekeeping):
            part.start()
            stack.callback(part.stop)
        while not recorder.status.connected:
            time.sleep(0.05)
        while True:
            if pipe.recv():
                logs.doRollover()
            gc.collect()
            ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))
            status = recorder.status
            told = {"recorded": status.recorded, "unwritten": status.waiting}
            pipe.send({**measure_process("page"), **told})


def log_to(file: Path) -> RotatingFileHandler:
    """As the program logs, but into a file that is rotated."""
    from edge_classifier.cli.log import LineFormatter, RateLimit

    handler = RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=3)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(RateLimit())
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return handler


def measure_process(name: str) -> dict[str, float]:
    """Threads, descriptors and memory of this process.

    Memory is what no file backs, in MB: pages of files come and go with the system's cache.
    """
    maps = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    anonymous = next(int(line.split()[1]) for line in maps if line.startswith("Anonymous:"))
    return {
        f"{name} threads": float(len(list(Path("/proc/self/task").iterdir()))),
        f"{name} opened": float(len(list(Path("/proc/self/fd").iterdir()))),
        f"{name} memory": round(anonymous / 1024, 1),
    }
