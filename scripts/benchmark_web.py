"""Measures the pages at 100,000 records: the real server, over loopback; prints one table.

    .venv/bin/python scripts/benchmark_web.py [--rows N] [--rounds N] [--json FILE]
    .venv-dev/bin/python scripts/benchmark_web.py --postgres --rows 10000000

On SQLite, or with --postgres on a PostgreSQL of its own (the extra [dev]).

Every page is asked for once in each round, on one connection that stays open, so that a busy
moment of a shared machine hits all alike; the first rounds warm caches up and do not count. A
time is from sending the request until the last byte. ``ratio`` compares medians with /healthz,
which touches next to nothing, in the same run. Queries are counted in this process, with the same
database. Exits with 1 when a page's 95th percentile is not below 100 ms.
"""

import argparse
import hashlib
import http.client
import io
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from edge_classifier import samples
from edge_classifier.web import startup
from edge_classifier.web.folders import Folders
from edge_classifier.web.load_settings import load
from edge_classifier.web.settings import WebSettings

LIMIT_MS = 100.0
WARM_UP = 3
DAYS = 60
AT_ONCE = 5000
# On PostgreSQL, all records beyond these are copies of them.
COPIED = 100_000
# So many of the newest records have files; a list shows no others.
PICTURED = 200
PEOPLE = ("viewer", "reviewer", "administrator")


@dataclass(frozen=True)
class Page:
    """One address, and who asks for it."""

    name: str
    path: str
    role: str = "reviewer"


@dataclass(frozen=True)
class Row:
    """What was measured of a page."""

    page: str
    p5_ms: float
    p50_ms: float
    p95_ms: float
    queries: int
    kilobytes: float
    ratio: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        return self.p95_ms < LIMIT_MS

    def __str__(self) -> str:
        return (
            f"{self.page:<34} {self.p5_ms:>8.1f} {self.p50_ms:>8.1f} {self.p95_ms:>8.1f}"
            f" {self.queries:>8} {self.kilobytes:>8.1f} {self.ratio:>7.1f}"
            f"{'' if self.kept else '   TOO SLOW'}"
        )


def main() -> int:
    """Fill, count, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of its own")
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.postgres:
            from tests.postgres import postgres  # Only here: it needs the extra [dev].

            os.environ["DATABASE_URL"] = stack.enter_context(postgres()).url
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-web-"))
        rows = run(Path(folder), options.rows, options.rounds)
    titles = ("p5 ms", "p50 ms", "p95 ms", "queries", "kB")
    print(f"{'page':<34}", *(f"{title:>8}" for title in titles), f"{'ratio':>7}")
    print("\n".join(str(row) for row in rows))
    if options.json:
        found = {"records": options.rows, "pages": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(found, indent=2))
    return 0 if all(row.kept for row in rows) else 1


def run(folder: Path, count: int, rounds: int) -> list[Row]:
    """All of it, in a state folder of its own."""
    assignments = [f"state_folder={folder}", "mqtt.enabled=false"]
    settings = load(None, assignments, environment={})
    folders = startup.configure(settings)
    startup.migrate(folders)
    begun = time.perf_counter()
    fill(min(count, COPIED) if "DATABASE_URL" in os.environ else count, folders)
    copy_until(count)
    print(f"{count} records made in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    pages = list(all_pages())
    cookies = {role: log_in(role) for role in PEOPLE}
    queries = {page.name: count_queries(page, settings, folders) for page in pages}
    with served(assignments) as port:
        measured = measure(port, pages, cookies, rounds)
    trivial = statistics.median(measured[pages[0].name][0])
    rows = [summarize(page, *measured[page.name], queries[page.name]) for page in pages]
    return [replace(row, ratio=row.p50_ms / trivial) for row in rows]


def all_pages() -> Iterator[Page]:
    """Every page for people, history with filters of each kind; /healthz first."""
    from edge_classifier.web.models import Record
    from edge_classifier.web.records.keyset import Position

    total = Record.objects.count()
    newest, deep = (Record.objects.order_by("-at", "-id")[n] for n in (0, int(total * 0.9)))
    yield Page("healthz", "/healthz", "")
    for name, path in {
        "classify": "/",
        "live, no broker": "/live",
        "models": "/models",
        "record": f"/records/{newest.key}",
        "thumbnail": f"/thumbnails/{newest.key}.jpg",
        "review": "/review",
        "review, many at once": "/review?view=grid",
        "review, dataset": "/review?view=dataset",
        "review, compare models": "/review/compare",
        "history": "/history",
        "history, chart": "/history/chart?part",
        "history, deep": f"/history?before={Position.of(deep)}",
        "history, newer than a deep place": f"/history?after={Position.of(deep)}",
        "history, frequent label": "/history?label=label+0",
        "history, frequent label, deep": f"/history?label=label+0&before={Position.of(deep)}",
        "history, rare label": "/history?label=label+250",
        "history, device": "/history?device=pi-1",
        "history, one camera": "/history?device=pi-1&camera=front",
        "history, high scores": "/history?score_min=0.99",
        "history, uncertain": "/history?review=no&score_max=0.5",
        "history, corrected": "/history?review=corrected",
        "history, programs": "/history?source=api",
        "history, two weeks": two_weeks(newest.at),
        "history, nothing found": "/history?score_min=0.99999",
    }.items():
        yield Page(name, path)
    yield Page("history of a viewer", "/history", "viewer")
    yield Page("history of a viewer, uploads", "/history?source=upload", "viewer")
    yield Page("api, records", "/api/v1/records", "viewer")
    yield Page("admin", "/admin/", "administrator")
    yield Page("admin, records", "/admin/web/record/", "administrator")
    yield Page("admin, one record", f"/admin/web/record/{newest.id}/change/", "administrator")


def two_weeks(until: datetime) -> str:
    """History of some weeks before the last one."""
    days = [(until - timedelta(days=ago)).date().isoformat() for ago in (28, 14)]
    return f"/history?since={days[0]}&until={days[1]}"


def fill(count: int, folders: Folders) -> None:
    """Records of some weeks: a few frequent labels and many rare ones, mostly a camera's."""
    from edge_classifier.web.models import Camera, Label, Picture, Record, User

    chance = random.Random(5)  # noqa: S311 (the same rows each time, and no secret)
    now = datetime.now().astimezone()
    people = [
        User.objects.create_user(role, password=None, role=role)  # Nobody logs in with a password.
        for role in PEOPLE
    ]
    labels = [
        Label(name=f"label {n}", chinese=f"标签 {n}", first_seen=now - timedelta(days=n % DAYS))
        for n in range(300)
    ]
    Label.objects.bulk_create(labels)
    cameras = [
        Camera(device=f"pi-{device}", name=name)
        for device in range(4)
        for name in ("front", "garden", "garage")
    ]
    Camera.objects.bulk_create(cameras)
    moments = sorted(now - timedelta(days=DAYS * chance.random()) for _ in range(count))
    for begin in range(0, count, AT_ONCE):
        step = moments[begin : begin + AT_ONCE]
        names = [hashlib.sha256(f"{begin + n}".encode()).hexdigest() for n in range(len(step))]
        pictures = Picture.objects.bulk_create(
            [Picture(sha256=name, size=90_000, width=640, height=480) for name in names]
        )
        made = [
            Record(
                at=at, recorded_at=at, picture=picture, **facts(chance, labels, cameras, people, at)
            )
            for at, picture in zip(step, pictures, strict=True)
        ]
        Record.objects.bulk_create(made)
    put_files(folders)


def copy_until(count: int) -> None:
    """As many more as it takes, on PostgreSQL: copies of those that are there, without pictures."""
    from django.db import connection

    from edge_classifier.web.models import Record

    there = Record.objects.count()
    columns = [field.column for field in Record._meta.concrete_fields if not field.primary_key]
    # A second apart, so that a page does not end among many of one moment.
    new: dict[str, str] = {
        "key": "gen_random_uuid()",
        "picture_id": "NULL",
        "at": "at - n * interval '1 second'",
        "recorded_at": "recorded_at - n * interval '1 second'",
        "day": "(at - n * interval '1 second')::date",
    }
    quoted = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(new.get(column, f'"{column}"') for column in columns)
    with connection.cursor() as cursor:
        for number in range(1, count // there):
            cursor.execute(
                f"INSERT INTO web_record ({quoted}) SELECT {values}"  # noqa: S608 (names of ours)
                " FROM (SELECT *, %s AS n FROM web_record WHERE picture_id IS NOT NULL) AS r",
                [number],
            )
        cursor.execute("ANALYZE")


def facts(
    chance: random.Random, labels: list[Any], cameras: list[Any], people: list[Any], at: datetime
) -> dict[str, Any]:
    """One record without its time and picture: 92 % of cameras, 5 % reviewed."""
    from django.utils import timezone

    label = labels[min(int(chance.paretovariate(0.8)) - 1, 299)]
    source = chance.choices(["event", "upload", "api"], [92, 6, 2])[0]
    is_event = source == "event"
    verdict = chance.choices(["", "confirmed", "corrected", "rejected"], [95, 3, 1, 1])[0]
    truth = {"confirmed": label, "corrected": chance.choice(labels)}.get(verdict)
    return {
        "key": uuid.UUID(int=chance.getrandbits(128)),
        "source": source,
        "camera": chance.choice(cameras) if is_event else None,
        "owner": None if is_event else chance.choice(people),
        "day": timezone.localdate(at),
        "label": label,
        "before": chance.choice(labels).name if is_event else "",
        "score": chance.betavariate(5, 2),
        "margin": chance.random(),
        "model": "efficientnet-lite0@21331c65",
        "delay_ms": 7.4 if is_event else None,
        "top": [] if is_event else [[one.name, 0.2] for one in chance.sample(labels, 5)],
        "verdict": verdict,
        "truth": truth,
        "reviewer": people[1] if verdict else None,
        "reviewed_at": at if verdict else None,
    }


def put_files(folders: Folders) -> None:
    """Pictures and thumbnails of the newest records."""
    from edge_classifier.web.models import Record
    from edge_classifier.web.records import picture_storage

    jpeg = (Path(samples.__file__).parent / "cat.jpg").read_bytes()
    small = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.resize((320, 240)).save(small, "JPEG")
    newest = Record.objects.order_by("-at", "-id").select_related("picture")[:PICTURED]
    for record in newest:
        picture_storage.put_file(picture_storage.picture_name(record.picture.sha256), jpeg)
        picture_storage.put_file(
            picture_storage.thumbnail_name(record.picture.sha256), small.getvalue()
        )
    if not any(folders.pictures.iterdir()):
        raise RuntimeError("no picture was written")


def log_in(role: str) -> str:
    """The cookie of somebody who has logged in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from edge_classifier.web.models import User

    user, session = User.objects.get(username=role), SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"sessionid={session.session_key}"


def count_queries(page: Page, settings: WebSettings, folders: Folders) -> int:
    """How often the page asks the database."""
    from django.apps import apps
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from edge_classifier.web.models import User
    from edge_classifier.web.services import make_services
    from edge_classifier.web.worker.picture_worker import PictureWorker

    worker = PictureWorker(settings.classify, settings.uploads, folders.models)
    apps.get_app_config("web").services = make_services(settings, folders, worker)
    client = Client(SERVER_NAME="localhost")
    if page.role:
        client.force_login(
            User.objects.get(username=page.role), "django.contrib.auth.backends.ModelBackend"
        )
    with CaptureQueriesContext(connection) as asked:
        answer: Any = client.get(page.path)
        answer.getvalue()
    return len(asked)


@contextmanager
def served(assignments: list[str]) -> Iterator[int]:
    """The server in a process of its own; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    sets = [word for one in assignments for word in ("--set", one)]
    command = [sys.executable, "-m", "edge_classifier", "web", "--port", str(port), *sets]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_CLASSIFIER")}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as server:
        try:
            wait_for(port, server)
            yield port
        finally:
            server.terminate()


def wait_for(port: int, server: "subprocess.Popen[bytes]", within_s: float = 60) -> None:
    """Return when the server takes connections. Raises RuntimeError when it ends or is late."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not start")


def measure(
    port: int, pages: list[Page], cookies: Mapping[str, str], rounds: int
) -> dict[str, tuple[list[float], int]]:
    """Of each page, milliseconds of every request, and the size of the answer in bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times: dict[str, list[float]] = {page.name: [] for page in pages}
    sizes: dict[str, int] = {}
    for number in range(WARM_UP + rounds):
        for page in pages:
            headers = {"Cookie": cookies[page.role]} if page.role else {}
            begun = time.perf_counter()
            connection.request("GET", page.path, headers=headers)
            answer = connection.getresponse()
            size = len(answer.read())
            if number >= WARM_UP:
                times[page.name].append((time.perf_counter() - begun) * 1e3)
            if answer.status not in (200, 503):  # 503: healthz without a broker.
                raise RuntimeError(f"{page.path}: status {answer.status}")
            sizes[page.name] = size
    return {name: (values, sizes[name]) for name, values in times.items()}


def summarize(page: Page, times: list[float], size: int, queries: int) -> Row:
    """One line of the table."""
    twentieths = statistics.quantiles(times, n=20)
    p5, p50, p95 = (twentieths[n] for n in (0, 9, 18))
    return Row(page.name, p5, p50, p95, queries, size / 1000)


if __name__ == "__main__":
    sys.exit(main())
