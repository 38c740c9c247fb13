"""The daemon as a process: configured, started, killed, and watched over MQTT."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from tests import warm
from tests.conftest import REPOSITORY
from tests.mosquitto import Listener
from tests.ports import HOST
from tests.tiny import COLOURS, Tiny, build
from tests.waiting import eventually

NODE = "pi"
ROOT = f"edge-classifier/{NODE}"
_START_S = 60.0
_BLUE_GREEN_RED = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}

Tree = Mapping[str, Any]

# Each frame decides for itself, so that every other picture is an event.
HASTY: Tree = {"smoothing": "none", "dwell_s": 0, "unknown_dwell_s": 0}


def model(path: Path, labels: Sequence[str] = COLOURS, size: int = 8) -> Path:
    """A network that names the brightest of red, green and blue by ``labels``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    build(path, Tiny(size=(size, size)))
    path.with_suffix(".labels.txt").write_text("\n".join(labels))
    return path


def colours(folder: Path, *names: str, size: tuple[int, int] = (64, 48)) -> Path:
    """A folder of plain pictures in this order, for a source ``pictures:FOLDER``."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        pixels = np.full((size[1], size[0], 3), _BLUE_GREEN_RED[name], np.uint8)
        cv2.imwrite(str(folder / f"{number}-{name}.png"), pixels)
    return folder


def toml(tree: Tree, prefix: str = "") -> str:
    """``tree`` as a configuration file: one dotted key a line."""
    lines = []
    for name, value in tree.items():
        key = f"{prefix}{json.dumps(name)}"
        filled = isinstance(value, Mapping) and value
        lines.append(toml(value, f"{key}.") if filled else f"{key} = {_scalar(value)}\n")
    return "".join(lines)


def merged(weak: Tree, strong: Tree) -> dict[str, Any]:
    """``weak`` with all that ``strong`` says."""
    both = {
        name: merged(weak[name], value)
        for name, value in strong.items()
        if isinstance(value, Mapping) and isinstance(weak.get(name), Mapping)
    }
    return {**weak, **strong, **both}


def _scalar(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


@dataclass
class Daemon:
    """``edge-classify run`` with a configuration and a state folder of its own."""

    folder: Path
    # The broker's.
    port: int
    # More of the configuration; cameras at least.
    settings: Tree
    # Where it notes which models it has tried: a child process does that, and takes a while.
    cache: Path
    host: str = HOST
    arguments: Sequence[str] = ()
    # What the command line begins with, e.g. ``ip netns exec NAME``.
    before: Sequence[str] = ()
    process: warm.Process | None = None
    _lives: "count[int]" = field(default_factory=count)
    _log: Path = Path()

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configure(self.settings)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def state(self) -> Path:
        """Its state folder."""
        return self.folder / "state"

    @property
    def log(self) -> str:
        """What this life of it has written to standard error."""
        return self._log.read_text("utf-8") if self._log.is_file() else ""

    @property
    def output(self) -> str:
        """What this life of it has written to standard output."""
        return self._log.with_suffix(".out").read_text("utf-8")

    def configure(self, settings: Tree) -> None:
        """Write the configuration file."""
        self.settings = settings
        self.config.write_text(toml(merged(self._base(), settings)))

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Started and up; killed in the end if it still runs."""
        with self.launched():
            self.await_up()
            yield self

    @contextmanager
    def launched(self) -> Iterator[Self]:
        """Started only."""
        self.launch()
        try:
            yield self
        except BaseException:
            print(f"--- log of the daemon ---\n{self.log[-6000:]}")
            raise
        finally:
            if self.process and self.process.poll() is None:
                self.kill()

    def start(self) -> None:
        """Begin another life."""
        self.launch()
        self.await_up()

    def launch(self) -> None:
        """Begin another life, and do not wait."""
        self._log = self.folder / f"{next(self._lives)}.log"
        arguments = ["run", "--config", str(self.config), *self.arguments]
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.cache)}
        with self._log.open("wb") as log, self._log.with_suffix(".out").open("wb") as output:
            self.process = warm.start(
                arguments,
                stdout=output,
                stderr=log,
                environment=environment,
                cwd=REPOSITORY,
                before=self.before,
            )

    def await_up(self) -> None:
        """Return when its model is loaded and its cameras are being opened."""
        self.until(lambda: "; cameras " in self.log and "http://" in self.log, _START_S)

    def until(self, condition: Callable[[], object], within_s: float = 30) -> None:
        """Return as soon as ``condition`` holds; fail when it does not, or the daemon ends."""
        assert self.process
        deadline = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, f"it ended: {self.log[-3000:]}"
            assert time.monotonic() < deadline, f"it never became true: {self.log[-3000:]}"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process
        self.process.kill()
        self.process.wait(30)

    def stop(self, within_s: float = 20) -> int:
        """SIGTERM; the exit code."""
        self.send(signal.SIGTERM)
        return self.wait(within_s)

    def wait(self, within_s: float = 30) -> int:
        """The exit code of one that ends by itself."""
        assert self.process
        return self.process.wait(within_s)

    def page(self, path: str) -> str:
        """What it answers over HTTP."""
        found = re.search(r"http://(127\.0\.0\.1:\d+)", self.log)
        assert found, "it serves nothing"
        connection = HTTPConnection(found[1], timeout=10)
        try:
            connection.request("GET", path)
            return str(connection.getresponse().read(), "utf-8")
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """One number without labels from /metrics."""
        found = re.search(rf"^edge_classifier_{name} (\S+)$", self.page("/metrics"), re.MULTILINE)
        assert found, f"no metric {name}"
        return float(found[1])

    def resources(self) -> tuple[int, int]:
        """Threads, and open files."""
        assert self.process
        process = Path("/proc", str(self.process.pid))
        return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))

    def _base(self) -> Tree:
        return {
            "device": {"name": NODE, "state_folder": self.state},
            "mqtt": {"host": self.host, "port": self.port, "stats_s": 1},
            "http": {"port": 0},
        }


class Remote:
    """Someone elsewhere, who knows the daemon's topics and nothing else of it."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._transactions = count(1)

    def events(self, camera: str) -> list[dict[str, Any]]:
        """In order of their first arrival, repeated deliveries left out."""
        found: dict[str, dict[str, Any]] = {}
        for event in self.deliveries(camera):
            found.setdefault(event["id"], event)
        return list(found.values())

    def changes(self, camera: str) -> list[dict[str, Any]]:
        """Of ``events`` those that say that the label became another."""
        return [one for one in self.events(camera) if one["event_type"] == "label_changed"]

    def deliveries(self, camera: str) -> list[dict[str, Any]]:
        """All events, in order of arrival."""
        return self._read(f"/{camera}/event")

    def states(self, camera: str) -> list[dict[str, Any]]:
        """All of them, in order of arrival."""
        return self._read(f"/{camera}/state")

    def state(self, camera: str) -> dict[str, Any]:
        """The last one; empty before there is any."""
        states = self.states(camera)
        return states[-1] if states else {}

    def availability(self, of: str = NODE) -> str:
        """The last word of the device, or of a camera; empty before there is any."""
        words = self.listener.of(f"/{of}/availability")
        return words[-1].payload.decode() if words else ""

    def send(self, command: str, **body: object) -> int:
        """Ask for something; the transaction that the response will have."""
        transaction = next(self._transactions)
        request = json.dumps({"transaction": transaction, **body})
        self.listener.publish(f"{ROOT}/request/{command}", request)
        return transaction

    def response(self, transaction: object) -> dict[str, Any] | None:
        """None: it has not come yet."""
        answers = (
            json.loads(one.payload)
            for one in list(self.listener.messages)
            if "/response/" in one.topic
        )
        return next((answer for answer in answers if answer["transaction"] == transaction), None)

    def ask(self, command: str, **body: object) -> dict[str, Any]:
        """Ask for something, and wait for the response."""
        transaction = self.send(command, **body)
        eventually(lambda: self.response(transaction), 30)
        answer = self.response(transaction)
        assert answer is not None
        return answer

    def _read(self, ending: str) -> list[dict[str, Any]]:
        return [json.loads(one.payload) for one in self.listener.of(ending)]
