"""Django on a database of its own, people of each role, and the page's services."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("django", reason="the extra [web] is not installed")

from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.utils import translation

from edge_classifier.web import startup as start
from edge_classifier.web.apps import Services
from edge_classifier.web.configuration import Folders
from edge_classifier.web.settings import WebMqttSettings, WebSettings

_FOLDER = Path(tempfile.mkdtemp(prefix="edge-web-"))
SETTINGS = WebSettings(state_folder=_FOLDER, mqtt=WebMqttSettings(enabled=False))
PASSWORD = "correct horse battery staple"  # noqa: S105 (of a database that ends with the test)


def _configured() -> Folders:
    """Django takes settings once a process, so for all tests."""
    folders = start.configure(SETTINGS)
    # A file, so that threads see the same tables; and passwords are not what is tested.
    connection.settings_dict["TEST"]["NAME"] = str(_FOLDER / "test.db")
    django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return folders


FOLDERS = _configured()


@pytest.fixture(scope="session", autouse=True)
def _folder() -> Iterator[None]:
    yield
    shutil.rmtree(_FOLDER, ignore_errors=True)


class NoWorker:
    """Stands where a test has no use for a child process, and says so if it is used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"this test has no worker, but {name} was called")


@pytest.fixture(autouse=True)
def page() -> Services:
    """The page's services, without a broker and a child process."""
    from edge_classifier.web.server import make_services  # Works only after Django has been set up.

    worker: Any = NoWorker()
    services = make_services(SETTINGS, FOLDERS, worker)
    apps.get_app_config("web").services = services
    # A request leaves its language to its thread, which here is that of the next test, too.
    translation.activate("en")
    return services


@pytest.fixture
def change(page: Services) -> Callable[..., Services]:
    """Puts other services in beside those that are there: ``change(live=..., settings=...)``."""
    from edge_classifier.web.server import make_services  # Works only after Django has been set up.

    web = apps.get_app_config("web")

    def put(**changed: Any) -> Services:
        given = {name: getattr(web.services, name) for name in ("settings", "folders", "worker")}
        beside = ("live", "recorder", "housekeeping")
        given |= {name: getattr(web.services, name) for name in beside} | changed
        web.services = make_services(**given)
        return web.services

    return put


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
