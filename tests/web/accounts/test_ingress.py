"""Home Assistant's ingress: who is believed, and that all of the page lies below its path."""

import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from edge_classifier.errors import ConfigurationError
from edge_classifier.web.config.load_settings import load
from tests.web.serving import PASSWORD, Page, Reply, hidden_token, web

# The proxy of these tests, and an address that is not its.
PROXY, ELSEWHERE = "127.0.0.1", "127.0.0.2"
PATH = "/api/hassio_ingress/uGz3k_0p-Qx"
ANNA, BEN = "a" * 32, "b" * 32
HOME = "homeassistant.local:8123"
SETTINGS = (
    "mqtt.enabled=false",
    f"server.ingress.proxy={PROXY}",
    'server.ingress.administrators=["anna", ""]',
)
Headers = Mapping[str, str]


def headers(user: str = ANNA, name: str = "anna", **more: str) -> dict[str, str]:
    """What Home Assistant and its Supervisor add."""
    found = {
        "Host": HOME,
        "X-Forwarded-Host": HOME,
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "192.0.2.7, 172.30.32.1",
        "X-Ingress-Path": PATH,
        "X-Remote-User-Id": user,
        "X-Remote-User-Name": name,
    }
    return {key: value for key, value in (found | more).items() if value}


def name_on(reply: Reply) -> str:
    """Whom the page greets; empty: nobody."""
    found = re.search(r'<p class="who"><strong>([^<]*)', reply.body)
    return found.group(1) if found else ""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("ingress"), SETTINGS) as served:
        yield served


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that believes no proxy."""
    with Page(tmp_path_factory.mktemp("ordinary")) as served:
        yield served


def test_who_is_named_as_administrator_comes_in_without_a_password(page: Page) -> None:
    reply = page.ask("/notify", headers=headers())
    assert (reply.status, name_on(reply)) == (200, "anna")


def test_unknown_user_becomes_a_viewer(page: Page) -> None:
    ben = headers(BEN, "ben")
    assert name_on(page.ask("/history", headers=ben)) == "ben"
    assert page.ask("/review", headers=ben).status == 403
    assert page.ask("/admin/", headers=ben).status == 403


def test_who_is_only_called_like_an_administrator_is_none(page: Page) -> None:
    """Home Assistant's users without a user name have the name of a person."""
    called = headers("f" * 32, "", **{"X-Remote-User-Display-Name": "anna"})
    assert page.ask("/history", headers=called).status == 200
    assert page.ask("/notify", headers=called).status == 403
    nameless = headers("9" * 32, "")
    assert page.ask("/notify", headers=nameless).status == 403


def test_user_stays_the_same_account_under_another_name(page: Page) -> None:
    carl = "c" * 32
    assert name_on(page.ask("/history", headers=headers(carl, "carl"))) == "carl"
    assert name_on(page.ask("/history", headers=headers(carl, "charles"))) == "carl"


def test_account_with_a_password_is_never_that_of_a_user_who_is_called_alike(page: Page) -> None:
    """Whoever may name users in Home Assistant is no administrator here for that."""
    assert not web(page.state, "createadmin", "dora", stdin=f"{PASSWORD}\n").returncode
    dora = page.ask("/history", headers=headers("d" * 32, "dora"))
    assert name_on(dora) == "dora@homeassistant"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"X-Ingress-Path": ""},
        {"X-Remote-User-Id": ""},
        {"X-Forwarded-For": PROXY},
        {"X-Forwarded-For": f"{PROXY}, {PROXY}", "X-Real-Ip": PROXY},
        {"Forwarded": f"for={PROXY}"},
    ],
)
def test_header_from_another_address_is_refused(page: Page, change: Headers) -> None:
    reply = page.ask("/history", headers=headers(**change), source=ELSEWHERE)
    assert reply.status == 403
    assert not name_on(reply)


def test_login_stays_open_to_other_addresses(page: Page) -> None:
    """They have no name but by their password."""
    assert page.ask("/login", source=ELSEWHERE).status == 200
    assert page.ask("/history", source=ELSEWHERE).status == 302
    forged = {"X_Remote_User_Id": ANNA, "X_Ingress_Path": PATH}
    assert page.ask("/history", headers=forged, source=ELSEWHERE).status == 302


def raw(page: Page, *lines: str) -> bytes:
    """The first line of the answer to these headers, each as it stands."""
    with socket.create_connection((page.host, page.port), timeout=30) as connection:
        request = "\r\n".join(["GET /notify HTTP/1.1", "Connection: close", *lines, "", ""])
        connection.sendall(request.encode())
        return connection.makefile("rb").readline()


@pytest.mark.parametrize("second", ["X-Remote-User-Id", "x-remote-user-id", "X-REMOTE-USER-ID "])
def test_header_that_comes_twice_is_refused(page: Page, second: str) -> None:
    """The Supervisor lets a browser's own through if it is spelled otherwise."""
    lines = [f"{name}: {value}" for name, value in headers(BEN, "ben").items()]
    assert b" 403 " in raw(page, *lines)
    assert b" 400 " in raw(page, *lines, f"{second}: {ANNA}")
    assert b" 400 " in raw(page, f"{second}: {ANNA}", *lines)


@pytest.mark.parametrize(
    "change",
    [
        {"X-Ingress-Path": ""},
        {"X-Ingress-Path": "//evil.example"},
        {"X-Ingress-Path": "https://evil.example"},
        {"X-Ingress-Path": '/"><script>'},
        {"X-Remote-User-Id": f"{ANNA}, {BEN}"},
        {"X-Remote-User-Id": "root"},
    ],
)
def test_what_no_ingress_says_is_refused(page: Page, change: Headers) -> None:
    assert page.ask("/history", headers=headers(**change)).status == 403


def test_nobody_is_believed_unless_a_setting_says_so(ordinary: Page) -> None:
    own = headers(**{"Host": "localhost", "X-Forwarded-Host": ""})
    assert ordinary.ask("/notify", headers=own).status == 302


def test_visitor_whom_home_assistant_does_not_name_has_to_log_in(page: Page) -> None:
    unnamed = headers("", "")
    reply = page.ask("/history", headers=unnamed)
    assert reply.status == 302
    assert reply.headers["location"] == f"{PATH}/login?next={PATH}/history"


def test_name_that_is_not_latin_is_kept(page: Page) -> None:
    sent = "小梅".encode().decode("latin-1")
    reply = page.ask("/history", headers=headers("e" * 32, sent))
    assert name_on(reply) == "小梅"


def test_unknown_user_can_be_refused(tmp_path: Path) -> None:
    with Page(tmp_path, (*SETTINGS, "server.ingress.role=none")) as strict:
        assert strict.ask("/history", headers=headers(BEN, "ben")).status == 403
        assert strict.ask("/history", headers=headers()).status == 200


PAGES = (
    *(
        "/",
        "/classify",
        "/history",
        "/review",
        "/review/compare",
        "/teach",
        "/models",
        "/models/tokens",
    ),
    *("/notify", "/tokens", "/password", "/login", "/admin/", "/admin/web/user/", "/api/v1/docs"),
)


@pytest.mark.parametrize("path", PAGES)
def test_every_address_on_a_page_lies_below_the_ingress(page: Page, path: str) -> None:
    reply = page.ask(path, headers=headers())
    assert reply.status == 200
    attributes = re.findall(r'\s(?:href|src|action|data-[\w-]+|content)="(/[^"]*)"', reply.body)
    found = {one for one in attributes if not one.startswith("//")}
    assert found
    assert not [one for one in found if not one.startswith(f"{PATH}/")]


def test_app_on_a_home_screen_begins_below_the_ingress(page: Page) -> None:
    for path in ("/manifest.webmanifest", "/service-worker.js"):
        body = page.ask(path, headers=headers()).body
        found = re.findall(r'"(/[\w/.-]+)"', body)
        assert found
        assert not [one for one in found if not one.startswith(f"{PATH}/")]


def test_static_files_and_styles_are_found_below_the_ingress(page: Page) -> None:
    body = page.ask("/", headers=headers()).body
    styles = re.findall(rf'href="{PATH}(/static/[^"]+)"', body)
    assert styles
    for path in styles:
        assert page.ask(path, headers=headers()).status == 200
    # Who comes by the page's own port has the page's own addresses.
    assert f'href="{styles[0]}"' in page.ask("/login", source=ELSEWHERE).body


def test_form_is_taken_from_home_assistant_and_from_no_other_page(page: Page) -> None:
    shown = page.ask("/tokens", headers=headers())
    cookie = {"Cookie": shown.cookies["csrftoken"].partition(";")[0]}
    form = f"csrfmiddlewaretoken={hidden_token(shown.body)}&name=kitchen"
    for origin, status in ((f"http://{HOME}", 200), ("http://evil.example", 403)):
        given = {**headers(), **cookie, "Origin": origin}
        assert page.ask("/tokens/make", headers=given, form=form).status == status
    secure = {**headers(**{"X-Forwarded-Proto": "https"}), **cookie, "Origin": f"https://{HOME}"}
    assert page.ask("/tokens/make", headers=secure, form=form).status == 200


def test_cookies_are_for_this_page_alone(page: Page) -> None:
    reply = page.ask("/tokens", headers=headers())
    assert reply.cookies
    for line in reply.cookies.values():
        assert f"Path={PATH}/" in line
        assert "Secure" not in line
    secure = page.ask("/tokens", headers=headers(**{"X-Forwarded-Proto": "https"}))
    assert all("Secure" in line for line in secure.cookies.values())


def test_no_cookie_of_the_ingress_opens_the_page_elsewhere(page: Page) -> None:
    reply = page.ask("/tokens", headers=headers())
    cookies = "; ".join(line.partition(";")[0] for line in reply.cookies.values())
    assert page.ask("/tokens", headers={"Cookie": cookies}, source=ELSEWHERE).status == 302


def test_who_has_no_password_here_is_offered_neither_another_nor_an_end(page: Page) -> None:
    """The next request would log them in again."""
    body = page.ask("/history", headers=headers()).body
    assert f'href="{PATH}/tokens"' in body
    for absent in ("/password", "/logout"):
        assert f'"{PATH}{absent}"' not in body


def test_home_assistant_may_show_the_page_in_its_frame(page: Page) -> None:
    reply = page.ask("/", headers=headers())
    assert reply.headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("proxy", ["supervisor", "172.30.32.0/23", "*", "0:0:0:0:0:0:0:1"])
def test_only_one_address_can_be_believed(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="must be an IP address"):
        load(None, [f"server.ingress.proxy={proxy}"], {})


def test_two_proxies_at_once_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="set one"):
        load(None, [f"server.ingress.proxy={PROXY}", "server.behind_tls=true"], {})
