"""What somebody without an account can leave on the disk and in the log."""

import http.client
import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress

import pytest
from axes.models import AccessAttempt
from django.test import Client

from edge_classifier.web.accounts import views
from edge_classifier.web.classify.upload_limits import FORM_BYTES, HEADER_BYTES
from tests.waiting import eventually
from tests.web.serving import Page, hidden_token

# Upload limits so small that a test can reach them: one request takes 2 MB.
SMALL = ("mqtt.enabled=false", "uploads.request_max_mb=1", "uploads.model_max_mb=1")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("server"), SMALL) as running:
        yield running


def kept_bytes(server: Page) -> int:
    """All that the page has on the disk, but for its log."""
    files = [file for file in server.state.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if file.name != "said.txt")


def ask(
    server: Page, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> int:
    """The status. The answer may come before all of ``body`` is sent."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    given = dict(headers or {})
    try:
        connection.putrequest("GET" if body is None else "POST", path, skip_host="Host" in given)
        for name, value in given.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        with suppress(OSError):
            connection.send(body or b"")
        return connection.getresponse().status
    finally:
        connection.close()


def login_form(server: Page) -> tuple[str, dict[str, str]]:
    """The secret of the form, and the headers that go with it."""
    form = server.ask("/login")
    cookie = form.cookies["csrftoken"].partition(";")[0]
    kind = "application/x-www-form-urlencoded"
    return hidden_token(form.body), {"Cookie": cookie, "Content-Type": kind}


@pytest.mark.parametrize("size", [151, 100_000, 2_400_000])
def test_name_that_no_account_can_have_is_not_kept(server: Page, size: int) -> None:
    token, headers = login_form(server)
    before, said = kept_bytes(server), len(server.said)
    for number in range(5):
        body = f"csrfmiddlewaretoken={token}&username={number}{'a' * size}&password=x"
        assert ask(server, "/login", headers, body.encode()) in (200, 413)
    assert kept_bytes(server) - before < 100_000
    assert len(server.said) - said < 2000


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/login", {"Host": "h" * 50_000}, None),
        ("/login", {"Host": "h" * 400_000}, None),
        ("/setup/" + "s" * 50_000, {}, b"x=1"),
        ("/setup/" + "s" * 200_000, {}, b"x=1"),
        ("/setup/a%0aforged", {}, b"x=1"),
        ("/login", {"Origin": "http://" + "o" * 50_000}, b"x=1"),
        ("/history?label=" + "q" * 50_000, {}, None),
        ("/?" + "&".join("a" * 5000), {}, None),
        ("/login", {"Content-Type": "application/x-www-form-urlencoded"}, b"&a=1" * 5000),
        ("/login", {"Content-Type": "multipart/form-data; boundary=" + "b" * 5000}, b"x"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_request_leaves_at_most_a_short_line_in_the_log(
    server: Page, path: str, headers: Mapping[str, str], body: bytes | None
) -> None:
    before = len(server.said)
    assert 400 <= ask(server, path, headers, body) < 500
    added = server.said[before:]
    assert len(added.splitlines()) <= 1
    assert " ERROR " not in added
    assert len(added) < 1100
    assert "\nforged" not in server.said


def test_many_refused_requests_leave_a_bounded_log(server: Page) -> None:
    before = len(server.said)
    for _ in range(250):
        ask(server, "/login", {"Host": "h" * 5000})
    assert len(server.said[before:].splitlines()) <= 100


@pytest.mark.parametrize("path", ["/login", "/setup/x", "/history/delete", "/i18n/setlang/"])
def test_body_of_a_form_has_a_bound(server: Page, path: str) -> None:
    assert ask(server, path, {}, b"a" * (FORM_BYTES + 1)) == 413
    assert ask(server, path, {}, b"a" * 1000) != 413


def test_headers_have_a_bound(server: Page) -> None:
    assert ask(server, "/login", {"X-Any": "x" * HEADER_BYTES}) == 431
    assert ask(server, "/login", {"X-Any": "x" * (HEADER_BYTES // 2)}) == 200


@pytest.mark.parametrize(("clients", "room"), [(7, 4), (1, 2)])
def test_uploads_of_all_strangers_and_of_each_have_a_bound_on_the_disk(
    server: Page, clients: int, room: int
) -> None:
    """Of requests of at most 2 MB there is room for ``room``; each says that it is 1.9 MB."""
    size, waiting = 1_900_000, []
    lines = f"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\nabc"
    with ExitStack() as stack:
        for number in range(7):
            source = (f"127.0.0.{2 + number % clients}", 0)
            client = socket.create_connection((server.host, server.port), source_address=source)
            stack.enter_context(client).sendall(lines.encode())
            waiting.append(client)
        for client in waiting[room:]:
            client.settimeout(20)
            assert client.recv(100).startswith(b"HTTP/1.1 503")
        answered, _, _ = select.select(waiting[:room], [], [], 0.2)
        assert answered == []
    # There is room again when they have gone.
    eventually(lambda: ask(server, "/classify", {}, b"a" * size) != 503)


def test_wrong_logins_that_are_kept_have_a_bound(
    visitor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_ATTEMPTS", 10)
    for number in range(15):
        visitor.post("/login", {"username": f"name{number}", "password": "wrong"})
    names = set(AccessAttempt.objects.values_list("username", flat=True))
    assert names == {f"name{number}" for number in range(5, 15)}


def test_login_keeps_little_of_its_request(visitor: Client) -> None:
    agent = {"User-Agent": "u" * 60_000, "Accept": "a" * 60_000}
    for _ in range(4):
        address = "/login?" + "q" * 60_000
        visitor.post(address, {"username": "anna", "password": "x"}, headers=agent)
    (row,) = AccessAttempt.objects.values()
    assert sum(len(str(value)) for value in row.values()) < 10_000
