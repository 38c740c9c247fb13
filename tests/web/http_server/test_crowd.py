"""The real server under those who want all of it: others are served meanwhile."""

import resource
import select
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest

from edge_classifier.web.http_server.dispatcher import LONGEST_WAIT_S
from tests.ports import free_port
from tests.waiting import eventually
from tests.web.making import jpeg
from tests.web.serving import PASSWORD, Page, hidden_token

# Addresses of this machine, which are different clients to the page.
CROWD, OTHER = "127.0.0.2", "127.0.0.3"
THUMBNAILS = 60
# server.streams, server.streams_per_account, server.downloads
STREAMS, STREAMS_EACH, DOWNLOADS = 16, 4, 4
# server.connections
CONNECTIONS = 250
# Of the process, once nobody asks for much.
MOST_MB = 90


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """As it comes, with 12 MB of history; its broker is away."""
    state = tmp_path_factory.mktemp("state")
    command = [sys.executable, "-m", "tests.web.http_server.filling", str(state), "20000"]
    subprocess.run([*command, str(THUMBNAILS)], check=True, timeout=120)
    settings = (f"mqtt.port={free_port()}", "record.enabled=false", "access.login_attempts=1000")
    with Page(state, settings, starts_python=True) as running:
        yield running


@pytest.fixture(scope="module")
def cookies(page: Page) -> dict[str, str]:
    """Of each person who has logged in."""
    lines = {name: page.log_in(name, PASSWORD).cookies["sessionid"] for name in ("anna", "bert")}
    return {name: line.partition(";")[0] for name, line in lines.items()}


@pytest.fixture
def crowd(page: Page) -> Iterator["Crowd"]:
    with ExitStack() as stack:
        yield Crowd(page, stack)


class Crowd:
    """Connections from one address that ask and do not read."""

    def __init__(self, page: Page, stack: ExitStack) -> None:
        self._page, self._stack = page, stack
        self.all: list[socket.socket] = []

    def send(self, request: str, source: str = CROWD) -> socket.socket:
        """One more connection that sends ``request``."""
        client = self._stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.bind((source, 0))
        client.connect((self._page.host, self._page.port))
        client.settimeout(60)
        client.sendall(request.encode())
        self.all.append(client)
        return client

    def get(self, path: str, cookie: str, source: str = CROWD) -> socket.socket:
        """One more connection that asks for ``path``."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
        return self.send(head, source)

    def statuses(self) -> list[int]:
        """What each has been answered; nothing behind the first line is read."""
        return [int(client.recv(13).split()[1]) for client in self.all]

    def answered(self) -> Sequence[socket.socket]:
        """Those that have an answer now."""
        return select.select(self.all, [], [], 0)[0]

    def leave(self) -> None:
        for client in self.all:
            client.close()


def is_served(page: Page, cookie: str, source: str = OTHER) -> bool:
    """Whether somebody else gets pages of each kind."""
    asked = ("/healthz", "/login", "/static/web/no-picture.svg", "/history", "/live")
    headers = {"Cookie": cookie}
    return all(page.ask(path, headers=headers, source=source).status == 200 for path in asked)


def test_downloads_that_nobody_reads_leave_the_page_to_others(
    page: Page, cookies: dict[str, str], crowd: Crowd
) -> None:
    for number in range(24):
        ending = "json" if number % 2 else "csv"
        crowd.get(f"/history/export.{ending}", cookies["anna"])
    found = crowd.statuses()
    assert (found.count(200), found.count(503)) == (DOWNLOADS // 2, 24 - DOWNLOADS // 2)
    assert is_served(page, cookies["bert"])
    whole = page.ask("/history/export.csv", headers={"Cookie": cookies["bert"]}, source=OTHER)
    assert whole.body.count("\n") == 20000 + THUMBNAILS + 1
    crowd.leave()

    def has_room() -> bool:
        headers = {"Cookie": cookies["anna"]}
        return page.ask("/review/dataset.zip", headers=headers).status == 200

    eventually(has_room)
    # What was streamed is not kept; what is free goes back to the system twice a minute.
    eventually(lambda: resident_mb(page) < MOST_MB, within_s=70)


def resident_mb(page: Page) -> float:
    assert page.process
    pages = int(Path(f"/proc/{page.process.pid}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def test_connections_that_only_are_there_leave_the_page_to_others(
    page: Page, cookies: dict[str, str], crowd: Crowd
) -> None:
    for number in range(CONNECTIONS + 50):
        crowd.send(
            [
                "",
                "GET /login HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
                "POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc",
                "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            ][number % 4]
        )
    kept = crowd.get("/healthz", cookies["bert"], OTHER)
    assert kept.recv(13) == b"HTTP/1.1 200 "
    assert is_served(page, cookies["bert"])
    # Who has few connections keeps them: those that were closed are of the crowd.
    kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    said = b""
    while said.count(b"HTTP/1.1 200 ") < 1:
        said += kept.recv(4096)


def test_browsers_that_keep_their_connections_do_not_shut_the_page(
    page: Page, cookies: dict[str, str], crowd: Crowd
) -> None:
    for browser in range(50):
        for _ in range(6):
            client = crowd.get("/healthz", "", f"127.0.1.{1 + browser}")
            assert client.recv(13) == b"HTTP/1.1 200 "
    assert is_served(page, cookies["bert"])


def test_thumbnails_of_one_client_refuse_nobody_s_upload(
    page: Page, cookies: dict[str, str], crowd: Crowd
) -> None:
    with sqlite3.connect(page.state / "web.db") as database:
        rows = database.execute("SELECT key FROM web_record WHERE picture_id IS NOT NULL")
        keys = [UUID(key) for (key,) in rows.fetchall()]
    assert len(keys) == THUMBNAILS
    for key in keys:
        crowd.get(f"/thumbnails/{key}.jpg", cookies["anna"])
    assert upload(page, cookies["bert"], OTHER) == 200
    assert upload(page, cookies["anna"], CROWD) == 200
    assert crowd.statuses() == [200] * THUMBNAILS


def upload(page: Page, cookie: str, source: str) -> int:
    form = page.ask("/", headers={"Cookie": cookie}, source=source)
    token, csrf = hidden_token(form.body), form.cookies["csrftoken"].partition(";")[0]
    parts = {"csrfmiddlewaretoken": b"\r\n\r\n" + token.encode()}
    parts["pictures"] = b'; filename="a.jpg"\r\n\r\n' + jpeg()
    body = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="%s"%s\r\n' % (name.encode(), value)
        for name, value in parts.items()
    )
    headers = {
        "Cookie": f"{cookie}; {csrf}",
        "Content-Type": "multipart/form-data; boundary=edge",
        "X-Fragment": "1",
    }
    body += b"--edge--\r\n"
    return page.ask("/classify", headers=headers, form=body, source=source).status


def test_live_pages_of_one_account_leave_places_to_others(
    page: Page, cookies: dict[str, str], crowd: Crowd
) -> None:
    for _ in range(40):
        crowd.get("/live/stream", cookies["anna"])
    found = crowd.statuses()
    assert (found.count(200), found.count(503)) == (STREAMS_EACH, 40 - STREAMS_EACH)
    watching = crowd.get("/live/stream", cookies["bert"], OTHER)
    assert watching.recv(13) == b"HTTP/1.1 200 "
    assert is_served(page, cookies["bert"])
    assert is_served(page, cookies["anna"], CROWD)


def test_logins_at_once_keep_neither_health_nor_others_waiting(
    page: Page, cookies: dict[str, str], crowd: Crowd
) -> None:
    form = page.ask("/login", source=CROWD)
    token, cookie = hidden_token(form.body), form.cookies["csrftoken"].partition(";")[0]
    count, began = 30, time.monotonic()
    for number in range(count):
        body = f"csrfmiddlewaretoken={token}&username=nobody{number}&password=wrong"
        crowd.send(
            f"POST /login HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
    assert page.ask("/healthz", source=CROWD).status == 200
    # Each takes a processor for a while, and they are answered one after the other.
    assert len(crowd.answered()) < count // 5
    reply = http_log_in(page, "carl", OTHER)
    assert reply == 302
    assert is_served(page, cookies["bert"])
    assert len(crowd.answered()) < count
    statuses = crowd.statuses()
    # Whoever has waited for so long is told to come again: on a slow machine that are the last.
    is_slow = time.monotonic() - began > LONGEST_WAIT_S
    assert set(statuses) <= ({200, 503} if is_slow else {200})
    assert statuses[0] == 200


def http_log_in(page: Page, name: str, source: str) -> int:
    form = page.ask("/login", source=source)
    cookie = form.cookies["csrftoken"].partition(";")[0]
    word = PASSWORD.replace(" ", "+")
    body = f"csrfmiddlewaretoken={hidden_token(form.body)}&username={name}&password={word}"
    return page.ask("/login", headers={"Cookie": cookie}, form=body, source=source).status
