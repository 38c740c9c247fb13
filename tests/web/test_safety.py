"""Headers, error pages, host names: what holds for every answer."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path

from edge_classifier import web
from edge_classifier.web.config import hosts
from edge_classifier.web.config.settings import ServerSettings
from edge_classifier.web.models import User
from edge_classifier.web.urls import urlpatterns as real

TEMPLATES = sorted(Path(web.__file__).parent.rglob("*.html"))


def raising(error: Exception) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        raise error

    return view


def asking(statement: str) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        raise AssertionError(statement)

    return view


# The page's own, and some that fail: this module is ROOT_URLCONF.
urlpatterns = [
    path("bug", raising(RuntimeError("secret detail"))),
    path("away", raising(OperationalError("could not connect to db.internal"))),
    path("no-table", asking("SELECT * FROM nothing")),
    path("number", asking("SELECT abs(-9223372036854775808)")),
    path("", include(real)),
]
handler400 = "edge_classifier.web.error_views.bad_request"
handler500 = "edge_classifier.web.error_views.server_error"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture
def failing(db: None) -> Iterator[Client]:
    """A browser, and a page of which some addresses fail."""
    with override_settings(ROOT_URLCONF=__name__):
        yield Client(raise_request_exception=False)


def policy(response: HttpResponse) -> dict[str, set[str]]:
    text = response.headers["Content-Security-Policy"]
    return {part.split()[0]: set(part.split()[1:]) for part in text.split("; ")}


@pytest.mark.parametrize(
    "address",
    [
        *("/login", "/live", "/nothing", "/healthz", "/bug", "/away", "/admin/"),
        *("/static/web/page.css", "/static/admin/css/base.css", "/static/none"),
        *("/api/v1/status", "/api/v1/openapi.json"),
    ],
)
def test_answer_has_the_headers_of_safety(failing: Client, address: str) -> None:
    response = failing.get(address)
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    found = policy(response)
    assert found["default-src"] == {"'none'"}
    assert found["script-src"] == found["style-src"] == {"'self'"}
    assert found["frame-ancestors"] == found["base-uri"] == {"'none'"}
    response.close() if response.streaming else None


def test_policy_is_loosened_for_nothing_of_the_administration(administrator: Client) -> None:
    for address in ("/admin/", "/admin/web/record/", "/admin/web/user/add/"):
        assert policy(administrator.get(address))["script-src"] == {"'self'"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_template_has_no_script_style_or_handler_in_it(template: Path) -> None:
    # Ninja's settings, which have no text of anybody's in them, are JSON in a script of no code.
    text = template.read_text("utf-8").replace("{{ swagger_settings|safe }}", "")
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text)
    # What stands within a tag of Django is no HTML.
    text = re.sub(r"{%.*?%}", "", text)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|\|\s*safe\b|autoescape off", text)


def test_static_files_are_for_this_page_only(visitor: Client) -> None:
    response = visitor.get("/static/web/page.css")
    assert "Access-Control-Allow-Origin" not in response.headers
    response.close()


@pytest.mark.parametrize(
    "address", ["/static/../settings.py", "/static/%2e%2e/settings.py", "/static//etc/passwd"]
)
def test_static_files_are_those_of_their_folders_only(visitor: Client, address: str) -> None:
    assert visitor.get(address).status_code == 404


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/bug", 500, "Something went wrong"),
        ("/away", 503, "Back soon"),
        ("/no-table", 500, "Something went wrong"),
        ("/number", 500, "Something went wrong"),
        ("/nothing", 404, "Not found"),
    ],
)
def test_error_is_a_friendly_page_without_details(
    failing: Client, address: str, status: int, said: str
) -> None:
    response = failing.get(address)
    text = response.content.decode()
    assert response.status_code == status
    assert said in text
    assert '<link rel="stylesheet"' in text
    for detail in ("secret detail", "db.internal", "Traceback", "RuntimeError", ".py"):
        assert detail not in text
    assert ("Retry-After" in response.headers) == (status == 503)


def test_error_of_the_database_is_told_though_the_user_cannot_be_looked_up(
    failing: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.force_login(User.objects.create_user("anna"))

    def away(*_: object, **__: object) -> None:
        raise OperationalError("could not connect to db.internal")

    monkeypatch.setattr("django.db.models.sql.compiler.SQLCompiler.execute_sql", away)
    for address in ("/login", "/live", "/nothing"):
        response = failing.get(address)
        assert (response.status_code, "Back soon" in response.content.decode()) == (503, True)


def test_form_without_its_secret_is_explained(db: None) -> None:
    response = Client(enforce_csrf_checks=True).post("/login", {"username": "a", "password": "b"})
    assert response.status_code == 403
    assert "Please try again" in response.content.decode()


def test_role_that_is_too_little_is_explained(viewer: Client) -> None:
    response = viewer.get("/admin/")
    assert response.status_code == 403
    assert "An administrator can change its role." in response.content.decode()
    assert "/login?next=/admin/" in response.content.decode()


@pytest.mark.parametrize(
    ("address", "language"), [("/bug", "zh-hans"), ("/away", "zh-hans"), ("/nothing", "zh-hans")]
)
def test_error_page_knows_the_readers_language(
    failing: Client, address: str, language: str
) -> None:
    failing.cookies["django_language"] = language
    assert f'<html lang="{language}">' in failing.get(address).content.decode()


def test_cookies_are_not_for_scripts_and_other_sites(visitor: Client) -> None:
    User.objects.create_user("anna", password="correct horse battery")  # noqa: S106
    visitor.get("/login")
    visitor.post("/login", {"username": "anna", "password": "correct horse battery"})
    visitor.post("/i18n/setlang/", {"language": "zh-hans", "next": "/"})
    assert {"sessionid", "csrftoken", "django_language"} <= set(visitor.cookies)
    for cookie in visitor.cookies.values():
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert cookie["path"] == "/"
        assert not cookie["domain"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("::1", False),
        ("[::1]", False),
        ("localhost", False),
        ("0.0.0.0", True),  # noqa: S104 (to be told apart)
        ("::", True),
        ("192.168.1.2", True),
        ("pi.local", True),
    ],
)
def test_host_is_open_if_others_can_reach_it(host: str, expected: bool) -> None:
    assert hosts.is_open(host) == expected


def test_names_for_this_machine_alone_are_those_of_loopback() -> None:
    assert hosts.allowed_hosts(ServerSettings()) == ["localhost", "127.0.0.1", "[::1]"]
    assert django_settings.ALLOWED_HOSTS[:3] == ["localhost", "127.0.0.1", "[::1]"]


def test_names_that_are_set_are_the_only_ones_besides() -> None:
    found = hosts.allowed_hosts(ServerSettings(host="0.0.0.0", allowed_hosts=("pi.example.org",)))  # noqa: S104
    assert found == ["localhost", "127.0.0.1", "[::1]", "pi.example.org"]


@pytest.mark.parametrize(
    "server",
    [ServerSettings(host="0.0.0.0"), ServerSettings(host="::"), ServerSettings(behind_tls=True)],  # noqa: S104
    ids=["open", "open-ipv6", "behind-tls"],
)
def test_names_of_an_open_page_are_this_machines(
    server: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "pi.lan")
    found = hosts.allowed_hosts(server)
    assert {"pi.lan", "pi", "pi.local"} <= set(found)
    assert not {"0.0.0.0", "::", "*"} & set(found)  # noqa: S104 (no names)


def test_name_of_one_address_is_that_address() -> None:
    assert hosts.allowed_hosts(ServerSettings(host="192.168.1.2"))[3:] == ["192.168.1.2"]
    assert hosts.allowed_hosts(ServerSettings(host="fd00::2"))[3:] == ["[fd00::2]"]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (ServerSettings(), ["http://127.0.0.1:8090/"]),
        (ServerSettings(host="::1", port=81), ["http://[::1]:81/"]),
        (ServerSettings(host="pi.local"), ["http://pi.local:8090/"]),
        (ServerSettings(behind_tls=True, allowed_hosts=("a.example",)), ["https://a.example/"]),
        (
            ServerSettings(host="0.0.0.0", allowed_hosts=("pi.local",)),  # noqa: S104
            ["http://localhost:8090/", "http://pi.local:8090/"],
        ),
    ],
)
def test_addresses_that_are_told_are_those_that_browsers_need(
    server: ServerSettings, expected: list[str]
) -> None:
    assert hosts.addresses(server) == expected
