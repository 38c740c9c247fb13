"""What recording and reading cost: with few rows and with many, and both at once.

    .venv/bin/python scripts/benchmarks/recorder.py [--rows N] [--rounds N] [--folder FOLDER]
    .venv-dev/bin/python scripts/benchmarks/recorder.py --postgres --rows 10000000

Needs the extra [web]. On SQLite, or with --postgres on a PostgreSQL of its own (the extra [dev]).
Two databases, one with 1,000 rows and one with a million, are written to by turns, so that a noisy
machine disturbs both alike; the figure that counts is the ratio. So are pages that read records
asked for, in the same process. Then the history's first page is read without a pause, by two
threads of the recording process, while as many events as will go are written. FOLDER is on the disk
to be measured; default: a temporary folder.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

_FEW = 1_000
# Events in one transaction: about what comes within its 50 ms on a busy day.
_BATCH = 20
# Transactions in one turn.
_BATCHES = 5
_READERS = 2
# Of each page.
_ROUNDS = 40
_PAGES = {
    "history": "/history",
    "history, deep": "/history?{before}",
    "history, one label": "/history?label={name}",
    "history, one label, deep": "/history?label={name}&{before}",
    "history, one camera": "/history?device=pi&camera={camera}",
    "history, camera and label": "/history?device=pi&camera={camera}&label={name}",
    "history, by score": "/history?order=score",
    "history, nothing found": "/history?score_min=0.99999",
    "days": "/history/days?part",
    "chart": "/history/chart?part",
    "a label": "/labels/{label}",
    "review": "/review",
    "review, one label": "/review?label={name}",
}
_BUSY_S = 10.0
_STEP = 50_000
_LABELS, _CAMERAS = 20, 8
_FILL = """
INSERT INTO web_record (key, source, camera_id, at, day, recorded_at, label_id, "before", score,
                        margin, seq, model, delay_ms, top, detail, verdict)
WITH RECURSIVE n(i) AS (SELECT %(first)s UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %(end)s)
SELECT lower(hex(randomblob(16))), 'event', 1 + i %% %(cameras)s,
       datetime('now', '-90 days', (7 * i) || ' seconds') || '.123000',
       date('now', '-90 days', (7 * i) || ' seconds'), datetime('now'), 1 + i * 7 %% %(labels)s,
       'unknown', 0.5, 0.25, i, 'benchmark@00000000', 7.5, '[]', '{}', ''
FROM n
"""
_FILL_POSTGRES = """
INSERT INTO web_record (key, source, camera_id, at, day, recorded_at, label_id, "before", score,
                        margin, seq, model, delay_ms, top, detail, verdict)
SELECT gen_random_uuid(), 'event', (ARRAY%(cameras)s)[1 + i %% array_length(ARRAY%(cameras)s, 1)],
       now() - interval '90 days' + i * interval '0.7 seconds',
       (now() - interval '90 days' + i * interval '0.7 seconds')::date, now(),
       (ARRAY%(labels)s)[1 + i * 7 %% array_length(ARRAY%(labels)s, 1)],
       'unknown', 0.5, 0.25, i, 'benchmark@00000000', 7.5, '[]', '{}', ''
FROM generate_series(%(first)s, %(end)s - 1) i
"""


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measure what recording costs.")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="of the large one")
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="turns of each")
    parser.add_argument("--folder", type=Path, help="where the databases are made")
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of its own")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return _serve(options.child)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder))
        urls = _databases(stack) if options.postgres else {}
        small, large = (Child(Path(folder, name), urls.get(name)) for name in ("small", "large"))
        _report("filling the tables ...")
        small.ask("fill", _FEW)
        large.ask("fill", options.rows)
        costs = _alternating(small, large, options.rounds)
        pages = [(small.ask("pages", 1), large.ask("pages", 1)) for _ in range(_ROUNDS + 3)][3:]
        _report("writing while pages are read ...")
        busy = large.ask("busy", _BUSY_S)
        _print(costs, busy, options.rows)
        _print_pages(pages, options.rows)
        for child in (small, large):
            child.end()
    return 0


def _databases(stack: ExitStack) -> dict[str, str]:
    """Two of one PostgreSQL, which ends with ``stack``."""
    from tests.postgres import postgres  # Only where it is asked for: it needs the extra [dev].

    server = stack.enter_context(postgres())
    names = ("small", "large")
    for name in names:
        server.create(name)
    return {name: server.url.replace("/postgres", f"/{name}") for name in names}


def _alternating(small: "Child", large: "Child", rounds: int) -> list[tuple[float, float]]:
    """Milliseconds an event in each of the two, by turns; the first turns only warm them up."""
    costs = []
    for number in range(rounds + 3):
        costs.append((small.ask("write", _BATCHES), large.ask("write", _BATCHES)))
        if number % 20 == 0:
            _report(f"turn {number} of {rounds} ...")
    return costs[3:]


def _print(costs: list[tuple[float, float]], busy: dict[str, float], rows: int) -> None:
    few, many = (statistics.median(column) for column in zip(*costs, strict=True))
    ratio = statistics.median(large / small for small, large in costs)
    print(f"{'one event, ms, at ' + format(_FEW, ','):44}{few:10.2f}")
    print(f"{'one event, ms, at ' + format(rows, ','):44}{many:10.2f}")
    print(f"{'ratio, median of the turns':44}{ratio:10.2f}")
    print(f"{'events a second while pages are read':44}{busy['events']:10.0f}")
    print(f"{'pages a second meanwhile':44}{busy['pages']:10.0f}")


def _print_pages(rounds: list[tuple[dict[str, float], dict[str, float]]], rows: int) -> None:
    heading = f"a page, ms, at {_FEW:,} and at {rows:,}"
    print(f"{heading:44}{'p50':>8}{'p50':>8}{'p95':>8}{'p95':>8}")
    for name in _PAGES:
        few, many = ([one[side][name] for one in rounds] for side in (0, 1))
        twentieths = [statistics.quantiles(times, n=20) for times in (few, many)]
        figures = [one[at] for at in (9, 18) for one in twentieths]
        print(f"{name:44}" + "".join(f"{figure:8.1f}" for figure in figures))


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Child:
    """A process with a database of its own, which stays open, as the recorder's does."""

    def __init__(self, folder: Path, url: str | None) -> None:
        command = [sys.executable, __file__, "--child", str(folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **({"DATABASE_URL": url} if url else {})},
        )

    def ask(self, what: str, amount: float) -> Any:
        """Its answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin and stdout:
            print(json.dumps([what, amount]), file=stdin, flush=True)
            if answer := stdout.readline():
                return json.loads(answer)
        raise RuntimeError("the child process has ended; its last words are above")

    def end(self) -> None:
        """Wait for its end."""
        self._process.communicate()


def _serve(folder: Path) -> int:
    """In the child: do what is asked."""
    from django.apps import apps

    from edge_classifier.web import startup
    from edge_classifier.web.config.settings import WebMqttSettings, WebSettings

    settings = WebSettings(state_folder=folder, mqtt=WebMqttSettings(enabled=False))
    folders = startup.configure(settings)
    startup.migrate(folders)
    worker: Any = None  # The history asks for nothing to be classified.
    from edge_classifier.web.services import (
        make_services,  # Works only after Django has been set up.
    )

    apps.get_app_config("web").services = make_services(settings, folders, worker)
    deeds = {"fill": _fill, "write": _write, "pages": _pages, "busy": _busy}
    for line in sys.stdin:
        what, amount = json.loads(line)
        print(json.dumps(deeds[what](amount)), flush=True)
    return 0


def _fill(rows: int) -> int:
    from django.db import connection

    from edge_classifier.web.models import Camera, Label
    from edge_classifier.web.recorder import write_records
    from edge_classifier.web.tally import upkeep

    write_records.write_batch(_events(_LABELS * _CAMERAS))
    is_postgres = connection.vendor == "postgresql"
    for first in range(_LABELS * _CAMERAS, rows, _STEP):
        end = min(rows, first + _STEP)
        figures: dict[str, Any] = {"first": first, "end": end}
        if is_postgres:
            figures |= {
                "labels": list(Label.objects.values_list("id", flat=True)),
                "cameras": list(Camera.objects.values_list("id", flat=True)),
            }
        else:
            figures |= {"labels": _LABELS, "cameras": _CAMERAS}
        with connection.cursor() as cursor:
            cursor.execute((_FILL_POSTGRES if is_postgres else _FILL) % figures)
        if rows > _FEW:
            _report(f"{end:,} of {rows:,} rows")
    # As the recorder does while it writes, and PostgreSQL by itself.
    upkeep.fold()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if is_postgres else "ANALYZE")
    return rows


def _write(batches: int) -> float:
    """Milliseconds an event. They go again, so that the small table stays small."""
    from edge_classifier.web.models import Record
    from edge_classifier.web.recorder import write_records

    last = Record.objects.latest("id").id
    begun = time.perf_counter()
    for _ in range(batches):
        write_records.write_batch(_events(_BATCH))
    seconds = time.perf_counter() - begun
    Record.objects.filter(id__gt=last).delete()
    return 1000 * seconds / (batches * _BATCH)


def _pages(rounds: int) -> dict[str, float]:
    """Milliseconds of each page, the last of ``rounds``."""
    client, facts = _reader()
    times = {}
    for _ in range(rounds):
        for name, path in _PAGES.items():
            begun = time.perf_counter()
            answer: Any = client.get(path.format(**facts), headers={"host": "localhost"})
            size = len(answer.getvalue())
            times[name] = 1000 * (time.perf_counter() - begun)
            if answer.status_code != HTTPStatus.OK or not size:
                raise RuntimeError(f"{path}: status {answer.status_code}")
    return times


@functools.cache
def _reader() -> tuple[Any, dict[str, Any]]:
    """Somebody who has logged in, and what addresses need to know."""
    from django.test import Client

    from edge_classifier.web.models import Record, User
    from edge_classifier.web.records.keyset import Position

    client = Client()
    reviewer, _ = User.objects.get_or_create(username="reviewer", role=User.Role.REVIEWER)
    client.force_login(reviewer)
    deep = Record.objects.order_by("-at", "-id")[int(Record.objects.count() * 0.9)]
    return client, {
        "before": f"before={Position.of(deep)}",
        "label": deep.label_id,
        "name": deep.label.name,
        "camera": deep.camera.name,
    }


def _events(amount: int) -> Iterator[Any]:
    from django.utils import timezone

    from edge_classifier.web.recorder.received import read

    for number in range(amount):
        topic = f"edge-classifier/pi/camera-{number % _CAMERAS}/event"
        yield read(topic, _payload(number), "edge-classifier", 1, timedelta(days=8), timezone.now)


def _payload(number: int) -> bytes:
    facts = {
        "event_type": "label_changed",
        "id": uuid.uuid4().hex,
        "seq": number,
        "from": "unknown",
        "to": f"label-{number % _LABELS}",
        "score": 0.5,
        "margin": 0.25,
        "ts": datetime.now(UTC).isoformat(),
        "model": "benchmark@00000000",
        "capture_to_publish_ms": 7.5,
    }
    return json.dumps(facts).encode()


def _busy(seconds: float) -> dict[str, float]:
    """Events and pages a second, both as fast as they go."""
    over = threading.Event()
    readers = [_Reader(over) for _ in range(_READERS)]
    for reader in readers:
        reader.start()
    events = _recorded(seconds)
    over.set()
    for reader in readers:
        reader.join()
    return {"events": events / seconds, "pages": sum(reader.pages for reader in readers) / seconds}


def _recorded(seconds: float) -> int:
    """How many of the events that never stop coming the recorder's own thread writes."""
    from functools import partial

    from django.utils import timezone

    from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage
    from edge_classifier.web.recorder.queue import DeliveryQueue
    from edge_classifier.web.recorder.received import read
    from edge_classifier.web.recorder.writer import RecordWriter

    queue = DeliveryQueue(2 * _BATCH)
    reader = partial(
        read,
        base="edge-classifier",
        snapshot_bytes=1,
        kept=timedelta(days=8),
        now=timezone.now,
    )
    writer = RecordWriter(queue, reader, _BATCH)
    thread = threading.Thread(target=writer.run)
    thread.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        topic = "edge-classifier/pi/camera-0/event"
        queue.put(ReceivedMessage(topic, _payload(writer.recorded), lambda: None))
    recorded = writer.recorded
    writer.end()
    thread.join()
    return recorded


class _Reader(threading.Thread):
    """Somebody who reads the history again and again."""

    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self.over = over
        self.pages = 0

    def run(self) -> None:
        """Until it is over."""
        from django.db import connection
        from django.test import Client

        from edge_classifier.web.models import User

        client = Client()
        name = f"reader-{id(self)}"
        client.force_login(User.objects.create(username=name, role=User.Role.VIEWER))
        while not self.over.is_set():
            answer = client.get("/history", headers={"host": "localhost"})
            self.pages += answer.status_code == HTTPStatus.OK
        connection.close()


if __name__ == "__main__":
    raise SystemExit(main())
