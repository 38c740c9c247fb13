"""A thousand devices, three recorders of which two die, and people who look on meanwhile.

    .venv-dev/bin/python scripts/trials/stress_fleet.py [--devices N] [--minutes N] [--burst-s N]

A real mosquitto, PostgreSQL and page, all on the loopback interface and in folders that go in the
end; needs both installed, and the extra [dev]. Devices send 20 events a second, every fifth with a
picture, then 500 a second. One recorder is killed after a third of the time and started again, one
when the burst begins, and another machine takes over its name. Meanwhile pages are asked for, and
the memory of each process is read. Exits with 1 where an event is missing or there twice, where a
page fails or is slow (95th percentile), or where memory grows from the first quarter to the last.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from tests.mosquitto import Broker
from tests.postgres import Postgres, postgres
from tests.system.fleet.devices import PICTURE_EVERY, event_facts
from tests.system.fleet.fleet import BROKER, Fleet
from tests.web.recording import Process
from tests.web.serving import PASSWORD, Page, hidden_token

_STEADY, _BURST = 20, 500
_DOWN_S = 10.0
# What has come at the end, once everything is acknowledged to the devices.
_CATCH_UP_S = 180.0
# Memory may breathe so much; a leak of ten minutes is more.
_GROWTH, _GROWTH_MB = 1.15, 8.0
_EVERY_S = 1.0
# Before a process is judged, caches fill.
_WARM_SAMPLES = 10
_FEWEST_SAMPLES = 40
_JUDGED = ("page", "recorder")
_PATHS = {
    "live": "/live",
    "history": "/history",
    "history, one device": "/history?device=device-7",
    "history, chart": "/history/chart?part",
    "healthz": "/healthz",
}


def main() -> int:
    """Run it, and print the tables."""
    parser = argparse.ArgumentParser(description="A thousand devices, and recorders that die.")
    parser.add_argument("--devices", type=int, default=1_000, metavar="N")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="N", help="of 20 a second")
    parser.add_argument("--burst-s", type=float, default=20.0, metavar="N", help="of 500 a second")
    parser.add_argument(
        "--limit-ms", type=float, default=1_000.0, metavar="N", help="of a page; 0: none"
    )
    options = parser.parse_args()
    steady, burst = int(options.minutes * 60 * _STEADY), int(options.burst_s * _BURST)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stress-fleet-")))
        database = stack.enter_context(postgres())
        broker = stack.enter_context(Broker(folder / "broker", BROKER))
        fleet = Fleet(folder, database, broker)
        problems = _run(fleet, options.devices, (steady, burst), options.limit_ms)
    for problem in problems:
        print(f"BROKEN: {problem}")
    return 1 if problems else 0


def _run(fleet: Fleet, devices: int, events: tuple[int, int], limit_ms: float) -> list[str]:
    steady, burst = events
    with ExitStack() as stack:
        # It makes the tables before three others want to.
        page = stack.enter_context(
            Page(
                fleet.folder / "page",
                (
                    f"mqtt.port={fleet.broker.port}",
                    "record.enabled=false",
                    f"storage.folder={fleet.folder / 'pictures'}",
                ),
                environment={"DATABASE_URL": fleet.database.url},
            )
        )
        recorders = [fleet.recorder(f"recorder-{name}") for name in "abc"]
        for recorder in recorders:
            stack.enter_context(recorder.running())
        watched: dict[str, Page | Process] = {
            "page": page,
            **{f"recorder {name}": one for name, one in zip("abc", recorders, strict=True)},
        }
        memory = Memory(lambda: _pids(fleet, watched))
        stack.enter_context(memory.sampling())
        sender = fleet.devices(devices, f"{steady}@{_STEADY}", f"{burst}@{_BURST}")
        stack.callback(sender.wait, 30)
        stack.callback(sender.kill)
        # The history of a device that nobody has heard of yet is refused.
        _wait_for(fleet, 40, "the first events")
        visitors = Visitors(page, _cookie(page))
        stack.enter_context(visitors.looking())
        _wait_for(fleet, steady / 3, "a third of the events")
        _say("recorder b is killed")
        recorders[1].kill()
        time.sleep(_DOWN_S)
        recorders[1].start()
        _wait_for(fleet, steady * 0.98, "the burst")
        _say("recorder c is killed, as the burst begins")
        recorders[2].kill()
        code = sender.wait(600)
        sent_at = time.monotonic()
        successor = fleet.recorder("recorder-c", "another-machine")
        stack.enter_context(successor.running())
        watched["recorder c"] = successor
        problems = _settled(fleet, steady + burst)
        print(f"all on record {time.monotonic() - sent_at:.1f} s after the last acknowledgement")
        problems += [f"the devices ended with {code}"] if code else []
        for one in (recorders[0], recorders[1], successor):
            if ended := one.stop():
                problems.append(f"a recorder ended with {ended}")
    return [
        *problems,
        *_complete(fleet.database, devices, steady + burst),
        *visitors.report(limit_ms),
        *memory.report(),
    ]


def _settled(fleet: Fleet, total: int) -> list[str]:
    """Wait until everything is on record."""
    pictured = "SELECT count(*) FROM web_record WHERE picture_id IS NOT NULL"
    pictures = -(-total // PICTURE_EVERY)
    until = time.monotonic() + _CATCH_UP_S
    while time.monotonic() < until:
        if fleet.amount >= total and int(fleet.database.value(pictured)) >= pictures:
            return []
        time.sleep(0.5)
    found = int(fleet.database.value(pictured))
    return [f"{fleet.amount} of {total} events and {found} of {pictures} pictures on record"]


def _complete(database: Postgres, devices: int, total: int) -> list[str]:
    """Each event once, by id, device and ``seq``."""
    found = database.rows(
        "SELECT key::text, device, seq FROM web_record JOIN web_camera ON camera_id = web_camera.id"
    )
    events = [(int(key.replace("-", ""), 16), device, seq) for key, device, seq in found]
    wanted = {event_facts(index, devices) for index in range(total)}
    lost, twice = len(wanted - set(events)), len(events) - len(set(events))
    strange = len(set(events) - wanted)
    print(f"{total} events sent, {len(events)} on record: {lost} lost, {twice} twice")
    problems = {"lost": lost, "twice": twice, "that nobody sent": strange}
    return [f"{count} events {what}" for what, count in problems.items() if count]


def _wait_for(fleet: Fleet, amount: float, what: str) -> None:
    """Return when so many are on record. Raises RuntimeError when nothing comes any more."""
    before, since = -1, time.monotonic()
    while (now := fleet.amount) < amount:
        if now != before:
            before, since = now, time.monotonic()
        if time.monotonic() - since > 60:
            raise RuntimeError(f"{what}: only {now} of {amount:.0f} are on record")
        time.sleep(0.5)


def _cookie(page: Page) -> str:
    """Of the first administrator."""
    form = page.ask(page.invitation)
    word = PASSWORD.replace(" ", "+")
    made = page.ask(
        page.invitation,
        headers={"Cookie": form.cookies["csrftoken"].partition(";")[0]},
        form=f"csrfmiddlewaretoken={hidden_token(form.body)}&username=anna"
        f"&password1={word}&password2={word}",
    )
    return made.cookies["sessionid"].partition(";")[0]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Visitors:
    """People who read the live page, the history and the health, one after the other."""

    page: Page
    cookie: str
    over: threading.Event = field(default_factory=threading.Event)
    times_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def looking(self) -> Iterator[None]:
        """In a thread, until it is left."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            thread.join()

    def _look(self) -> None:
        while not self.over.is_set():
            for name, path in _PATHS.items():
                begun = time.perf_counter()
                try:
                    status = self.page.ask(path, headers={"Cookie": self.cookie}).status
                except OSError as error:
                    self.failures[name].append(repr(error))
                else:
                    if status != HTTPStatus.OK:
                        self.failures[name].append(str(status))
                self.times_ms[name].append((time.perf_counter() - begun) * 1e3)
                self.over.wait(0.2)

    def report(self, limit_ms: float) -> list[str]:
        """Print the table; what was too slow or failed."""
        problems = []
        print(f"{'page':<24}{'asked':>8}{'p50 ms':>10}{'p95 ms':>10}{'failed':>8}")
        for name, times in self.times_ms.items():
            p50, p95 = (statistics.quantiles(times, n=20)[at] for at in (9, 18))
            failed = self.failures[name]
            print(f"{name:<24}{len(times):>8}{p50:>10.1f}{p95:>10.1f}{len(failed):>8}")
            if failed:
                problems.append(f"{name} failed {len(failed)} times: {failed[0]}")
            if limit_ms and p95 > limit_ms:
                problems.append(f"{name}: 95th percentile {p95:.0f} ms")
        return problems


def _pids(fleet: Fleet, watched: Mapping[str, Page | Process]) -> dict[tuple[str, int], list[int]]:
    """The processes of each life: name and first pid."""
    found = {}
    postmaster = fleet.database.folder / "data" / "postmaster.pid"
    own = {name: one.process.pid for name, one in watched.items() if one.process}
    if fleet.broker.process:
        own["mosquitto"] = fleet.broker.process.pid
    for name, pid in own.items():
        found[name, pid] = [pid]
    server = int(postmaster.read_text().split()[0])
    children = Path(f"/proc/{server}/task/{server}/children").read_text("ascii").split()
    found["PostgreSQL", server] = [server, *map(int, children)]
    return found


class Memory:
    """The proportional share of memory of each process, over time."""

    def __init__(self, pids: Callable[[], dict[tuple[str, int], list[int]]]) -> None:
        """``pids`` tells which processes there are now, by name and first pid."""
        self.samples: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._pids = pids

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """In a thread, until it is left."""
        over = threading.Event()
        thread = threading.Thread(target=self._sample, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _sample(self, over: threading.Event) -> None:
        while not over.wait(_EVERY_S):
            for life, pids in self._pids().items():
                if megabytes := sum(map(memory_mb, pids)):
                    self.samples[life].append(megabytes)

    def report(self) -> list[str]:
        """Print the table; what has grown."""
        problems = []
        print(f"{'process':<24}{'samples':>8}{'first MB':>10}{'last MB':>10}{'most MB':>10}")
        for (name, pid), all_samples in self.samples.items():
            samples = all_samples[_WARM_SAMPLES:]
            if len(samples) < _FEWEST_SAMPLES:
                continue
            quarter = len(samples) // 4
            first, last = (statistics.median(q) for q in (samples[:quarter], samples[-quarter:]))
            most = max(all_samples)
            print(
                f"{f'{name} ({pid})':<24}{len(samples):>8}{first:>10.1f}{last:>10.1f}{most:>10.1f}"
            )
            has_grown = last > first * _GROWTH and last > first + _GROWTH_MB
            if has_grown and name.startswith(_JUDGED):
                problems.append(f"{name} grew from {first:.1f} to {last:.1f} MB")
        return problems


def memory_mb(pid: int) -> float:
    """What is its own, and its share of what several have; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    sys.exit(main())
