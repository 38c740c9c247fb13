"""Django on a database of its own, people of each role, and the page's services."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("django", reason="the extra [web] is not installed")

from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import timezone, translation
from whitenoise.middleware import WhiteNoiseMiddleware

from edge_classifier.web import startup
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import WebMqttSettings, WebSettings

if TYPE_CHECKING:  # Works only after Django has been set up.
    from edge_classifier.web.services import Services

_FOLDER = Path(tempfile.mkdtemp(prefix="edge-web-"))
SETTINGS = WebSettings(state_folder=_FOLDER, mqtt=WebMqttSettings(enabled=False))
PASSWORD = "correct horse battery staple"  # noqa: S105 (of a database that ends with the test)


def _configured() -> Folders:
    """Django takes settings once a process, so for all tests."""
    folders = startup.configure(SETTINGS)
    # A file, so that threads see the same tables; and passwords are not what is tested.
    connection.settings_dict["TEST"]["NAME"] = str(_FOLDER / "test.db")
    django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return folders


FOLDERS = _configured()


@pytest.fixture(scope="session", autouse=True)
def _folder() -> Iterator[None]:
    yield
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _static_files() -> Iterator[None]:
    """They are looked for once: each client sets up a middleware that would do so again."""
    look_for_all = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, Any] = {}

    def add(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look_for_all(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", add)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings_xdist_suffix() -> None:
    """No other name for each of several processes: the database's folder is a process's own."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium for the tests of a module; skips them where it is not installed."""
    from tests.web import visiting  # Late: it skips whatever imports it without Playwright.

    with visiting.browser() as found:
        yield found


class NoWorker:
    """Stands where a test has no use for a child process, and says so if it is used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"this test has no worker, but {name} was called")


@pytest.fixture(autouse=True)
def page() -> "Services":
    """The page's services, without a broker and a child process."""
    from edge_classifier.web.services import (
        make_services,  # Works only after Django has been set up.
    )

    worker: Any = NoWorker()
    services = make_services(SETTINGS, FOLDERS, worker)
    apps.get_app_config("web").services = services
    # A request leaves its language to its thread, which here is that of the next test, too.
    translation.activate("en")
    return services


@pytest.fixture
def change(page: "Services") -> "Callable[..., Services]":
    """Puts other services in beside those that are there: ``change(live=..., settings=...)``."""
    from edge_classifier.web.services import (
        make_services,  # Works only after Django has been set up.
    )

    web = apps.get_app_config("web")

    def put(**changed: Any) -> "Services":
        given = {name: getattr(web.services, name) for name in ("settings", "folders", "worker")}
        beside = ("live", "recorder", "housekeeping", "notifier")
        given |= {name: getattr(web.services, name) for name in beside} | changed
        web.services = make_services(**given)
        return web.services

    return put


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's clock goes on from noon: no day begins between two steps of a test."""
    now = timezone.now
    ahead = timezone.localtime().replace(hour=12, minute=0) - now()
    monkeypatch.setattr(timezone, "now", lambda: now() + ahead)


@pytest.fixture
def visitor(db: None) -> Client:
    """A browser that has not logged in."""
    return Client()


@pytest.fixture
def viewer(db: None) -> Client:
    """A browser of a viewer, called ``viewer``."""
    return _client("viewer")


@pytest.fixture
def reviewer(db: None) -> Client:
    """A browser of a reviewer, called ``reviewer``."""
    return _client("reviewer")


@pytest.fixture
def administrator(db: None) -> Client:
    """A browser of an administrator, called ``administrator``."""
    return _client("administrator")


def _client(role: str) -> Client:
    from edge_classifier.web.models import User  # Works only after Django has been set up.

    user = User.objects.create_user(role, password=PASSWORD, role=role)
    client = Client()
    client.force_login(user)
    return client
