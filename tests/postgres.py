"""A real PostgreSQL on a loopback port."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import psycopg.sql
import pytest

from tests.ports import HOST, free_port

_USER = "fleet"
_PROGRAMS = "/usr/lib/postgresql"
# Who runs it where we are root, whom it refuses.
_OWNER = "postgres"


def programs() -> Path:
    """The folder of the newest one; skips the test where there is none."""
    found = sorted(Path(_PROGRAMS).glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not found:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    return found[-1]


@dataclass
class Postgres:
    """One server, which can be stopped and started again with its data."""

    folder: Path
    port: int
    # The database.
    name: str = "postgres"

    @property
    def url(self) -> str:
        """For $DATABASE_URL."""
        return f"postgresql://{_USER}@{HOST}:{self.port}/{self.name}"

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            rows: Sequence[tuple[Any, ...]] = connection.execute(query).fetchall()
        return rows

    def value(self, query: str) -> Any:
        """The first column of the first row."""
        return self.rows(query)[0][0]

    def create(self, name: str, like: str = "template1") -> "Postgres":
        """One more database, with what is in that of the name ``like``."""
        statement = psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        names = (psycopg.sql.Identifier(name), psycopg.sql.Identifier(like))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.format(*names))
        return replace(self, name=name)

    def start(self) -> None:
        """Returns when it accepts connections."""
        options = f"-p {self.port} -c listen_addresses={HOST} -c unix_socket_directories="
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """End, with everything written; who is connected is not waited for."""
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def crash(self) -> None:
        """End without writing anything more."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def initialise(self) -> None:
        self._run("initdb", "-U", _USER, "--auth=trust", "--encoding=UTF8", "--locale=C")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(programs() / program), "-D", str(self.folder / "data"), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", _OWNER, "--", *command]
        # It leaves a server behind that keeps standard output: not a pipe, whose end never comes.
        with (self.folder / "output").open("ab") as output:
            subprocess.run(
                command, check=True, stdout=output, stderr=output, cwd=self.folder, timeout=60
            )


@contextmanager
def postgres(keep: Path | None = None) -> Iterator[Postgres]:
    """Started, in a folder of its own, which goes in the end; or in ``keep``, which stays."""
    programs()
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    folder = keep or Path(tempfile.mkdtemp(prefix="edge-postgres-"))
    if os.geteuid() == 0:
        owner = pwd.getpwnam(_OWNER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    server = Postgres(folder, free_port())
    try:
        if not (folder / "data").exists():
            server.initialise()
        server.start()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            (server.stop if keep else server.crash)()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
