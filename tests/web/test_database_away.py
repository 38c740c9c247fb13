"""Which errors of a database pass by themselves, and which are a bug's."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from django import db
from django.db import connection

from edge_classifier.web.database_away import is_away, is_damaged, is_of_another_version


def locked(file: Path) -> None:
    with closing(sqlite3.connect(file)) as other, closing(sqlite3.connect(file, timeout=0)) as own:
        other.execute("BEGIN EXCLUSIVE")
        own.execute("CREATE TABLE more (x)")


def full(file: Path) -> None:
    with closing(sqlite3.connect(file)) as own:
        own.execute("PRAGMA max_page_count = 2")
        own.execute("INSERT INTO one VALUES (zeroblob(1000000))")


def read_only(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as own:
        own.execute("DELETE FROM one")


def gone(file: Path) -> None:
    sqlite3.connect(file.with_name("none") / "web.db")


def damaged(file: Path) -> None:
    file.write_bytes(b"noise" * 1000)
    run("SELECT * FROM one")(file)


def closed(file: Path) -> None:
    own = sqlite3.connect(file)
    own.close()
    own.execute("SELECT 1")


def run(statement: str) -> Callable[[Path], None]:
    def failing(file: Path) -> None:
        with closing(sqlite3.connect(file)) as own:
            own.execute(statement)

    return failing


@pytest.mark.parametrize(
    ("failing", "away", "broken"),
    [
        (locked, True, False),
        (full, True, False),
        (read_only, True, False),
        (gone, True, False),
        (damaged, False, True),
        (closed, False, False),
        (run("SELECT * FROM nothing"), False, False),
        (run("SELECT"), False, False),
        (run("INSERT INTO one VALUES (1)"), False, False),
        (run("SELECT abs(-9223372036854775808)"), False, False),
    ],
)
def test_error_of_sqlite_is_away_only_where_no_statement_could_be_done(
    failing: Callable[[Path], None], away: bool, broken: bool, tmp_path: Path
) -> None:
    file = tmp_path / "web.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as made:
        made.execute("CREATE TABLE one (x UNIQUE)")
        made.execute("INSERT INTO one VALUES (1)")
    with pytest.raises(db.Error) as caught, connection.wrap_database_errors:
        failing(file)
    assert (is_away(caught.value), is_damaged(caught.value)) == (away, broken)


@pytest.mark.parametrize(
    ("code", "away", "broken"),
    [
        ("08006", True, False),
        ("53100", True, False),
        ("53300", True, False),
        ("57P01", True, False),
        ("57014", True, False),
        ("40P01", True, False),
        ("25006", True, False),
        ("XX001", False, True),
        ("42P01", False, False),
        ("42501", False, False),
        ("22003", False, False),
        ("0A000", False, False),
    ],
)
def test_error_of_postgres_is_away_by_its_code(code: str, away: bool, broken: bool) -> None:
    errors = pytest.importorskip("psycopg.errors", reason="the extra [fleet] is not installed")
    error = db.OperationalError("told by the server")
    error.__cause__ = errors.lookup(code)("told by the server")
    assert (is_away(error), is_damaged(error)) == (away, broken)


def test_connection_that_cannot_be_made_is_away_and_what_django_itself_refuses_is_not() -> None:
    assert is_away(db.OperationalError("connection refused"))
    for bug in (db.DatabaseError("no row"), db.InterfaceError("cursor closed"), ValueError()):
        assert not is_away(bug)


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM missing", "SELECT y FROM one", "INSERT INTO one (x, y) VALUES (2, 3)"],
)
def test_table_or_column_that_is_lacking_is_another_versions(
    statement: str, tmp_path: Path
) -> None:
    file = tmp_path / "web.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as made:
        made.execute("CREATE TABLE one (x)")
    with pytest.raises(db.Error) as caught, connection.wrap_database_errors:
        run(statement)(file)
    assert is_of_another_version(caught.value)
    with pytest.raises(db.Error) as caught, connection.wrap_database_errors:
        run("SELECT")(file)
    assert not is_of_another_version(caught.value)


@pytest.mark.parametrize(("code", "is_it"), [("42P01", True), ("42501", True), ("42601", False)])
def test_error_of_postgres_is_of_another_version_by_its_code(code: str, is_it: bool) -> None:
    errors = pytest.importorskip("psycopg.errors", reason="the extra [fleet] is not installed")
    error = db.ProgrammingError("told by the server")
    error.__cause__ = errors.lookup(code)("told by the server")
    assert is_of_another_version(error) is is_it
