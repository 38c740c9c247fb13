"""Measures the pages at 1,000,000 records: the real server, over loopback; prints one table.

    .venv-dev/bin/python scripts/benchmarks/web_pages.py [--rows N] [--rounds N] [--json FILE]
    .venv-dev/bin/python scripts/benchmarks/web_pages.py --postgres --keep FOLDER

On SQLite, or with --postgres on a PostgreSQL of its own (the extra [dev]). With --keep the records
stay in FOLDER, and are not made again where they are; it keeps one kind of database.

Every page is asked for once in each round, on one connection that stays open, so that a busy
moment of a shared machine hits all alike; the first rounds warm caches up and do not count. A
time is from sending the request until the last byte. ``ratio`` compares medians with /healthz,
which touches next to nothing, in the same run. ``cpu`` is what one request takes of a processor,
the median of some in this process, with what PostgreSQL takes for it: whoever else is busy does
not change it much. With --rounds 0 nothing else is measured. Queries are counted there, too.
Exits with 1 when a page's 95th percentile is not below 60 ms.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from web_addresses import Page, all_pages

from edge_classifier.web import startup
from edge_classifier.web.config.load_settings import load

LIMIT_MS = 60.0
WARM_UP = 3
# Requests of which the median of the processor's time is told.
REQUESTS = 5
# 503: healthz without a broker.
ANSWERS = (200, 503)


# Nothing but the page is to work meanwhile, and all records stay.
SETTINGS = (
    "mqtt.enabled=false",
    "lookalikes.enabled=off",
    "retention.days=0",
    "retention.max_records=0",
    "retention.max_gb=0",
)


class Cost(NamedTuple):
    """What one request takes."""

    cpu_ms: float
    queries: int
    kilobytes: float


@dataclass(frozen=True)
class Row:
    """What was measured of a page. Without rounds there are no times."""

    page: str
    cpu_ms: float
    queries: int
    kilobytes: float
    p5_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    ratio: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        return self.p95_ms is None or self.p95_ms < LIMIT_MS

    def __str__(self) -> str:
        text = f"{self.page:<38} {self.cpu_ms:>7.1f} {self.queries:>7} {self.kilobytes:>7.1f}"
        for figure in (self.p5_ms, self.p50_ms, self.p95_ms, self.ratio):
            text += "" if figure is None else f" {figure:>7.1f}"
        return f"{text}{'' if self.kept else '   TOO SLOW'}"


def main() -> int:
    """Fill, count, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of the records; used again")
    parser.add_argument("--only", default="", metavar="TEXT", help="pages that have it in a name")
    parser.add_argument("--postgres", action="store_true", help="a PostgreSQL of its own")
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.postgres:
            from tests.postgres import postgres  # Only here: it needs the extra [dev].

            server = stack.enter_context(postgres(options.keep and options.keep / "postgres"))
            os.environ["DATABASE_URL"] = server.url
        folder = options.keep or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="benchmark-web-")
        )
        rows = run(Path(folder) / "state", options.rows, options.rounds, options.only)
    titles = ("cpu ms", "queries", "kB", "p5 ms", "p50 ms", "p95 ms", "ratio")
    print(f"{'page':<38}", *(f"{title:>7}" for title in titles[: None if options.rounds else 3]))
    print("\n".join(str(row) for row in rows))
    if options.json:
        found = {"records": options.rows, "pages": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(found, indent=2))
    return 0 if all(row.kept for row in rows) else 1


def run(folder: Path, count: int, rounds: int, only: str) -> list[Row]:
    """All of it, in the state folder ``folder``."""
    assignments = [f"state_folder={folder}", *SETTINGS]
    settings = load(None, assignments, environment={})
    folders = startup.configure(settings)
    startup.migrate(folders)
    # Works only after Django has been set up.
    from django.apps import apps
    from many_records import PEOPLE, fill

    from edge_classifier.web.models import Record
    from edge_classifier.web.services import make_services
    from edge_classifier.web.worker.picture_worker import PictureWorker

    if not Record.objects.exists():
        begun = time.perf_counter()
        fill(count)
        print(f"{count} records made in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    pages = [one for one in all_pages() if only in one.name or one.name == "healthz"]
    worker = PictureWorker(settings.classify, settings.uploads, folders.models)
    apps.get_app_config("web").services = make_services(settings, folders, worker)
    costs = {page.name: cost(page) for page in pages}
    if not rounds:
        return [Row(page.name, *costs[page.name]) for page in pages]
    cookies = {role: log_in(role) for role in PEOPLE}
    with served(assignments) as port:
        measured = measure(port, pages, cookies, rounds)
    trivial = statistics.median(measured[pages[0].name])
    return [summarize(page, costs[page.name], measured[page.name], trivial) for page in pages]


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


def cost(page: Page) -> Cost:
    """What it takes, in this process and in that of PostgreSQL."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from edge_classifier.web.models import User

    client = Client(SERVER_NAME="localhost")
    if page.role:
        client.force_login(
            User.objects.get(username=page.role), "django.contrib.auth.backends.ModelBackend"
        )

    def answer() -> bytes:
        found: Any = client.get(page.path)
        if found.status_code not in ANSWERS:
            raise RuntimeError(f"{page.path}: status {found.status_code}")
        content: bytes = found.getvalue()
        return content

    with CaptureQueriesContext(connection) as asked:
        size = len(answer())
    # The log of the connection begins anew with the next request.
    queries = len(asked)
    times = []
    for _ in range(REQUESTS):
        begun = time.process_time() + database_s()
        answer()
        times.append(time.process_time() + database_s() - begun)
    return Cost(1e3 * statistics.median(times), queries, size / 1000)


def database_s() -> float:
    """The processor's time that PostgreSQL has taken for this process; of SQLite it is in ours."""
    from django.db import connection

    if connection.vendor == "sqlite":
        return 0.0
    pid = connection.connection.info.backend_pid
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


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
    port: int, pages: Sequence[Page], cookies: Mapping[str, str], rounds: int
) -> dict[str, list[float]]:
    """Of each page, milliseconds of every request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times: dict[str, list[float]] = {page.name: [] for page in pages}
    for number in range(WARM_UP + rounds):
        for page in pages:
            headers = {"Cookie": cookies[page.role]} if page.role else {}
            begun = time.perf_counter()
            connection.request("GET", quote(page.path, safe="/?&=%+:,*"), headers=headers)
            answer = connection.getresponse()
            answer.read()
            if number >= WARM_UP:
                times[page.name].append((time.perf_counter() - begun) * 1e3)
            if answer.status not in ANSWERS:
                raise RuntimeError(f"{page.path}: status {answer.status}")
    return times


def summarize(page: Page, cost: Cost, times: Sequence[float], trivial_ms: float) -> Row:
    """One line of the table."""
    twentieths = statistics.quantiles(times, n=20)
    p5, p50, p95 = (twentieths[n] for n in (0, 9, 18))
    return Row(page.name, *cost, p5, p50, p95, p50 / trivial_ms)


if __name__ == "__main__":
    sys.exit(main())
