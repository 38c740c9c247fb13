"""The page as a process: where it listens, whom it believes, how it ends, what it says."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_classifier.modelfile.catalogue import CATALOGUE_VARIABLE
from tests.mosquitto import Broker
from tests.ports import free_port
from tests.waiting import eventually
from tests.web.serving import PASSWORD, Page, edge_classify, hidden_token, prepare, web

BEHIND_TLS = ("mqtt.enabled=false", "server.behind_tls=true")
# access.login_attempts
ATTEMPTS = 5
# waitress waits five seconds for its threads, and then says this of those that have not ended.
HELD_UP = "still running"


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page for this machine only."""
    state = tmp_path_factory.mktemp("near")
    prepare(state, "anna", "bert")
    with Page(state) as running:
        yield running


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page behind a proxy with TLS, which the test plays."""
    state = tmp_path_factory.mktemp("proxied")
    prepare(state, "anna", "bert")
    with Page(state, BEHIND_TLS) as running:
        yield running


def through_proxy(address: str = "192.0.2.7", before: str = "") -> dict[str, str]:
    """The headers that a proxy adds; ``before``: what the client itself has sent."""
    forwarded = f"{before}, {address}" if before else address
    secure = {"X-Forwarded-Proto": "https", "Referer": "https://localhost/login"}
    return {"Host": "localhost", "X-Forwarded-For": forwarded, **secure}


def test_page_without_administrator_tells_a_link_and_with_one_does_not(tmp_path: Path) -> None:
    with Page(tmp_path, is_first_start=True) as page:
        assert page.ask(page.invitation).status == 200
        assert page.ask(page.invitation[:-1]).status == 404
        assert page.end() == 0
    assert web(tmp_path, "createadmin", "anna", stdin=f"{PASSWORD}\n").returncode == 0
    with Page(tmp_path) as page:
        assert page.invitation == ""


def test_invitation_is_good_once_and_no_longer_than_somebody_is_wanted(tmp_path: Path) -> None:
    with Page(tmp_path) as page:
        form = page.ask(page.invitation)
        cookie = form.cookies["csrftoken"].partition(";")[0]
        word = PASSWORD.replace(" ", "+")
        body = f"csrfmiddlewaretoken={hidden_token(form.body)}&username=anna"
        made = page.ask(
            page.invitation,
            headers={"Cookie": cookie},
            form=f"{body}&password1={word}&password2={word}",
        )
        assert (made.status, made.headers["location"]) == (302, "/")
        assert "sessionid" in made.cookies
        assert page.ask(page.invitation).status == 404
        assert page.log_in("anna", PASSWORD).status == 302


def test_port_that_is_taken_is_told_and_nothing_is_begun(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = web(tmp_path, "--port", str(port))
    assert done.returncode == 69
    assert f"127.0.0.1:{port}: cannot be listened on (Address already in use)" in done.stderr
    assert "--port takes another" in done.stderr
    assert "The page is at" not in done.stdout


def test_catalogue_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    options = ["--set", f"state_folder={tmp_path}", "--port", str(free_port())]
    missing = str(tmp_path / "mirror.toml")
    done = edge_classify("web", *options, environment={CATALOGUE_VARIABLE: missing})
    assert done.returncode == 66
    assert f"{missing}: no such catalogue" in done.stderr


def test_host_that_is_nowhere_is_told(tmp_path: Path) -> None:
    done = web(tmp_path, "--host", "nowhere.invalid")
    assert done.returncode == 69
    assert "nowhere.invalid:8090" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_at_once_and_in_peace(tmp_path: Path, number: int) -> None:
    with Page(tmp_path) as page:
        assert page.end(number) == 0
        assert "Traceback" not in page.said
        assert HELD_UP not in page.said


def test_signal_ends_it_soon_though_a_live_page_is_open(tmp_path: Path) -> None:
    prepare(tmp_path, "anna", "bert")
    with Broker(tmp_path / "broker") as broker:
        settings = (f"mqtt.port={broker.port}", "record.enabled=false")
        with Page(tmp_path, settings) as page:
            cookie = page.log_in("anna", PASSWORD).cookies["sessionid"].partition(";")[0]
            with socket.create_connection(("127.0.0.1", page.port), timeout=20) as browser:
                lines = f"GET /live/stream HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n"
                browser.sendall(lines.encode())
                assert browser.recv(100).startswith(b"HTTP/1.1 200")
                assert page.end() == 0
                assert HELD_UP not in page.said


def test_page_for_this_machine_is_no_reason_for_a_warning(near: Page) -> None:
    assert f"The page is at http://127.0.0.1:{near.port}/" in near.said
    assert "ANYBODY" not in near.said


def test_page_that_is_open_without_tls_warns_loudly(tmp_path: Path) -> None:
    with Page(tmp_path, host="0.0.0.0") as page:  # noqa: S104 (what is tested)
        assert f"http://localhost:{page.port}/" in page.said
        eventually(lambda: "ANYBODY IN THE NETWORK CAN READ PASSWORDS" in page.said)


def test_page_behind_tls_tells_the_address_that_browsers_need(tmp_path: Path) -> None:
    settings = (*BEHIND_TLS, 'server.allowed_hosts=["pi.example.org"]')
    with Page(tmp_path, settings) as page:
        assert "The page is at https://pi.example.org/\n" in page.said
        assert "there: https://pi.example.org/setup/" in page.said


def test_page_on_ipv6_is_reached(tmp_path: Path) -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with Page(tmp_path, host="::1") as page:
        assert f"http://[::1]:{page.port}/" in page.said
        assert page.ask("/login").status == 200


def test_page_on_a_name_with_several_addresses_ends_in_peace(tmp_path: Path) -> None:
    with Page(tmp_path, host="localhost") as page:
        assert page.ask("/login").status == 200
        assert page.end() == 0
        assert HELD_UP not in page.said


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("localhost@evil.example", 400),
        ("", 400),
    ],
)
def test_page_answers_to_its_own_names_only(near: Page, host: str, status: int) -> None:
    reply = near.ask("/login", headers={"Host": host})
    assert reply.status == status
    assert "evil" not in reply.body
    assert "Traceback" not in near.said


def test_forwarded_host_is_believed_from_nobody(proxied: Page) -> None:
    headers = {**through_proxy(), "X-Forwarded-Host": "evil.example"}
    reply = proxied.ask("/live", headers=headers)
    assert (reply.status, reply.headers["location"]) == (302, "/login?next=/live")


def test_too_many_wrong_passwords_cannot_be_hidden_by_a_forged_address(near: Page) -> None:
    for number in range(ATTEMPTS):
        near.log_in("bert", "wrong", {"X-Forwarded-For": f"198.51.100.{number}"})
    assert near.log_in("bert", PASSWORD, {"X-Forwarded-For": "198.51.100.99"}).status == 429


def test_too_many_wrong_passwords_through_a_proxy_are_counted_for_the_real_address(
    proxied: Page,
) -> None:
    for number in range(ATTEMPTS):
        forged = through_proxy("192.0.2.7", before=f"198.51.100.{number}")
        assert proxied.log_in("bert", "wrong", forged).status in {200, 429}
    assert proxied.log_in("bert", PASSWORD, through_proxy("192.0.2.7")).status == 429
    assert proxied.log_in("bert", PASSWORD, through_proxy("192.0.2.8")).status == 302


def test_page_behind_tls_sends_cookies_over_https_only(proxied: Page) -> None:
    reply = proxied.log_in("anna", PASSWORD, through_proxy())
    assert reply.status == 302
    for name in ("sessionid", "csrftoken"):
        assert "Secure" in reply.cookies[name]
        assert "HttpOnly" in reply.cookies[name]
        assert "SameSite=Lax" in reply.cookies[name]
    assert reply.headers["strict-transport-security"].startswith("max-age=31536000")


def test_page_behind_tls_asked_without_it_takes_no_password(proxied: Page) -> None:
    reply = proxied.ask("/login", headers={"Host": "localhost"}, form="username=anna&password=x")
    assert (reply.status, reply.headers["location"]) == (301, "https://localhost/login")
    assert proxied.ask("/healthz").status == 200


def test_page_without_tls_believes_nobody_that_there_is_tls(near: Page) -> None:
    reply = near.ask("/login", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in reply.headers
    assert "Secure" not in reply.cookies["csrftoken"]


def test_server_does_not_say_what_it_is(near: Page) -> None:
    assert "server" not in near.ask("/login").headers


def test_log_has_neither_passwords_nor_sessions(near: Page) -> None:
    reply = near.log_in("anna", PASSWORD)
    near.log_in("anna", "swordfish-and-more")
    near.log_in("swordfish-and-more", "x")
    session = reply.cookies["sessionid"].partition(";")[0].partition("=")[2]
    key = (near.state / "secret-key").read_text()
    assert session
    for secret in (PASSWORD, "swordfish-and-more", session, key):
        assert secret not in near.said


def test_what_a_killed_server_left_of_uploads_goes(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "half.upload").write_bytes(b"x")
    with Page(tmp_path):
        assert list((tmp_path / "scratch").iterdir()) == []


def test_server_imported_holds_nothing_that_belongs_into_its_child(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from edge_classifier.web import startup
from edge_classifier.web.config.settings import WebSettings
startup.configure(WebSettings(state_folder=Path(sys.argv[1])))
import edge_classifier.cli.web, edge_classifier.web.server
from django.contrib import admin
from django.urls import get_resolver
get_resolver().url_patterns, admin.site.urls
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"django", "waitress", "ninja", "edge_classifier"} <= loaded
    heavy = {"numpy", "cv2", "PIL", "ai_edge_litert", "tflite_runtime", "tensorflow", "torch"}
    assert loaded & heavy == set()


def test_ready_is_told_to_systemd_when_the_page_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        with Page(tmp_path / "state", port=free_port()) as page:
            assert manager.recv(100).startswith(b"READY=1")
            assert page.ask("/healthz").status == 200
