"""A full disk is told as that wherever it shows, and nothing else is told as one."""

import errno
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django import db
from django.contrib.auth.hashers import make_password
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from edge_classifier.errors import OutputError, StorageError
from edge_classifier.web.classify import uploads
from edge_classifier.web.full_disk import is_full
from edge_classifier.web.models import User
from edge_classifier.web.records import picture_storage
from edge_classifier.web.wording import explained
from edge_classifier.web.worker.messages import Classified, CropBox, LabelScore
from tests.web import making
from tests.web.serving import PASSWORD

ENGLISH = "There is no room on the server&#x27;s disk. Somebody has to make some."
CHINESE = "服务器的磁盘没有空间了。需要有人清理。"


def of_sqlite(code: int) -> db.OperationalError:
    """As Django raises it."""
    cause = sqlite3.OperationalError("told by SQLite")
    cause.sqlite_errorcode = code
    error = db.OperationalError("told by SQLite")
    error.__cause__ = cause
    return error


@pytest.fixture
def full_database(db: None) -> Any:
    """Whatever is to be written."""

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            raise of_sqlite(sqlite3.SQLITE_FULL)
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/teach", {"name": "cats"}),
        ("/tokens/make", {"name": "one", "days": "30"}),
        ("/logout", {}),
        ("/models/tokens/make", {"name": "one"}),
        ("/accounts", {"username": "bob", "role": "viewer"}),
    ],
)
def test_page_says_that_the_disk_is_full_in_the_readers_language(
    path: str, form: dict[str, str], administrator: Client, full_database: None
) -> None:
    administrator.raise_request_exception = False
    told = (("en", "The disk is full", ENGLISH), ("zh-hans", "磁盘已满", CHINESE))
    for language, title, words in told:
        answer = administrator.post(path, form, headers={"accept-language": language})
        assert answer.status_code == HTTPStatus.INSUFFICIENT_STORAGE
        assert f"<h1>{title}</h1>" in answer.content.decode()
        assert words in answer.content.decode()


def test_login_on_a_full_disk_says_so(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.create(username="anna", password=make_password(PASSWORD, hasher="md5"))

    def refuse(self: Any, *_: Any, **__: Any) -> None:
        raise of_sqlite(sqlite3.SQLITE_FULL)

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.save", refuse)
    client.raise_request_exception = False
    answer = client.post("/login", {"username": "anna", "password": PASSWORD})
    assert answer.status_code == HTTPStatus.INSUFFICIENT_STORAGE
    assert ENGLISH in answer.content.decode()


def test_picture_that_cannot_be_kept_is_refused_with_the_reason(
    reviewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # Pictures of other tests may be there already, and are not kept again.
    own = making.jpeg((7, 77, 177))
    found = Classified(
        jpeg=own,
        thumbnail=making.jpeg(size=(32, 24)),
        width=64,
        height=48,
        label="cat",
        top=(LabelScore("cat", "", 0.7),),
        crop=CropBox(0.0, 0.0, 1.0, 1.0),
        timings_ms={},
        model="test@00000000",
    )
    monkeypatch.setattr(uploads, "classify_upload", lambda *_: found)
    monkeypatch.setattr(picture_storage.AtomicFileStorage, "_save", refuse)
    reviewer.raise_request_exception = False
    answer = reviewer.post("/classify", {"pictures": SimpleUploadedFile("a.jpg", own)})
    assert answer.status_code == HTTPStatus.INSUFFICIENT_STORAGE
    assert ENGLISH in answer.content.decode()


def out_of_pages(file: Path) -> None:
    with closing(sqlite3.connect(file)) as own:
        own.execute("PRAGMA max_page_count = 2")
        own.execute("CREATE TABLE one (x)")
        own.execute("INSERT INTO one VALUES (zeroblob(1000000))")


def no_folder(file: Path) -> None:
    sqlite3.connect(file.with_name("none") / "web.db")


@pytest.mark.parametrize(
    ("failing", "free", "full"),
    [
        (out_of_pages, 10**9, True),
        # SQLite cannot open what it has no room for.
        (no_folder, 4096, True),
        (no_folder, 10**9, False),
    ],
)
def test_error_of_sqlite_is_a_full_disk_where_there_is_no_room(
    failing: Callable[[Path], None],
    free: int,
    full: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(db.Error) as caught, connection.wrap_database_errors:
        failing(tmp_path / "web.db")
    assert is_full(caught.value) is full


@pytest.mark.parametrize(("code", "full"), [("53100", True), ("53300", False), ("08006", False)])
def test_error_of_postgres_is_a_full_disk_by_its_code(code: str, full: bool) -> None:
    errors = pytest.importorskip("psycopg.errors", reason="the extra [fleet] is not installed")
    error = db.OperationalError("told by the server")
    error.__cause__ = errors.lookup(code)("told by the server")
    assert is_full(error) is full


@pytest.mark.parametrize(
    ("number", "full"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, False), (errno.EACCES, False)],
)
def test_error_of_ours_is_a_full_disk_by_what_it_comes_from(number: int, full: bool) -> None:
    error = OutputError("pictures", "cannot be kept", "Make room on the disk.")
    error.__cause__ = StorageError("cannot be kept just now", "")
    error.__cause__.__cause__ = OSError(number, "told by the system")
    assert is_full(error) is full
    assert ("no room on the server's disk" in explained(error)) is full
    assert not is_full(OutputError("pictures", "cannot be kept"))
