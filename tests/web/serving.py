"""The page as a process of its own, and questions to it as only the network can ask them."""

import http.client
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType

from edge_classifier.web.config.folders import folders_of, make_folders
from edge_classifier.web.config.settings import WebSettings
from tests import warm
from tests.ports import free_port
from tests.waiting import eventually

PASSWORD = "correct horse battery staple"  # noqa: S105 (of a database that ends with the test)


def edge_classify(
    *arguments: str | Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    done = warm.run(
        [*map(str, arguments)],
        site="page",
        stdin=stdin.encode(),
        environment={**os.environ, **(environment or {})},
    )
    texts = (done.stdout.decode(), done.stderr.decode())
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def web(
    state: Path, *arguments: str, stdin: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """``edge-classify web`` with ``arguments``, to its end."""
    options = ["--set", f"state_folder={state}", "--set", "mqtt.enabled=false"]
    return edge_classify("web", *options, *arguments, stdin=stdin, environment=environment)


def prepare(state: Path, *administrators: str) -> None:
    """Make what the first start of a page makes, and these accounts, each with ``PASSWORD``.

    The tables are made once and copied: they take as long as all else that the first start does.
    """
    assert not os.environ.get("DATABASE_URL"), "these tables are SQLite's"
    folders = folders_of(WebSettings(state_folder=state), {})
    make_folders(folders)
    folders.database.touch(mode=0o600)
    folders.database.write_bytes(_database(administrators))


@cache
def _database(administrators: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edge-page-") as folder:
        state = Path(folder)
        command, stdin = ["manage", "check"], ""
        if administrators:
            prepare(state, *administrators[:-1])
            command, stdin = ["createadmin", administrators[-1]], f"{PASSWORD}\n"
        done = web(state, *command, stdin=stdin, environment={"DATABASE_URL": ""})
        assert done.returncode == 0, done.stderr
        return (state / "web.db").read_bytes()


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    # In small letters.
    headers: Mapping[str, str]
    body: str
    # Name to the whole line.
    cookies: Mapping[str, str]


@dataclass
class Page:
    """``edge-classify web``, on a port of its own."""

    state: Path
    settings: Sequence[str] = ("mqtt.enabled=false",)
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    # More than this process has.
    environment: Mapping[str, str] = field(default_factory=dict)
    # It makes its tables itself.
    is_first_start: bool = False
    # As it does too; else it is a copy of a process that has loaded what it loads.
    starts_python: bool = False
    process: warm.Process | None = None

    def __enter__(self) -> "Page":
        self.state.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.environment}
        has_tables = (self.state / "web.db").exists() or bool(environment.get("DATABASE_URL"))
        if not (self.is_first_start or has_tables):
            prepare(self.state)
        options = [f"state_folder={self.state}", f"server.host={self.host}"]
        assignments = [part for line in (*options, *self.settings) for part in ("--set", line)]
        with self._said.open("wb") as said:
            self.process = warm.start(
                ["web", "--port", str(self.port), *assignments],
                site="page",
                stdout=said,
                stderr=said,
                environment=environment,
                starts_python=self.is_first_start or self.starts_python,
            )
        eventually(lambda: "The page is at" in self.said or self.has_ended, within_s=60)
        assert not self.has_ended, self.said
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)

    @property
    def _said(self) -> Path:
        return self.state / "said.txt"

    @property
    def said(self) -> str:
        """What it has written to its terminal."""
        return self._said.read_text("utf-8", "replace") if self._said.exists() else ""

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def invitation(self) -> str:
        """The path of the page that makes the first administrator; empty: none was told."""
        found = re.search(r"(/setup/\S+)", self.said)
        return found.group(1) if found else ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self, number: int = signal.SIGTERM, within_s: float = 10) -> int:
        """Ask it to end, and return its exit code."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def ask(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: str | bytes | None = None,
        method: str = "",
        source: str | None = None,
    ) -> Reply:
        """One request, from ``source`` of this machine's addresses; no redirect is followed."""
        connection = http.client.HTTPConnection(
            self.host.strip("[]"),
            self.port,
            timeout=30,
            source_address=(source, 0) if source else None,
        )
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        try:
            verb = method or ("GET" if form is None else "POST")
            connection.request(verb, path, body=form, headers={**kind, **(headers or {})})
            response = connection.getresponse()
            return Reply(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read().decode("utf-8", "replace"),
                _cookies(response.headers.get_all("Set-Cookie", [])),
            )
        finally:
            connection.close()

    def log_in(self, name: str, password: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Try to; the reply has the session's cookie."""
        form = self.ask("/login", headers=headers)
        token = hidden_token(form.body)
        cookie = "; ".join(line.partition(";")[0] for line in form.cookies.values())
        body = f"csrfmiddlewaretoken={token}&username={name}&password={password.replace(' ', '+')}"
        return self.ask("/login", headers={**(headers or {}), "Cookie": cookie}, form=body)


def hidden_token(body: str) -> str:
    """The secret of the form in a page."""
    return re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', body)[0]


def _cookies(lines: Sequence[str]) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in lines}
