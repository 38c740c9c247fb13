"""Notifications for tests: rules, a clock that is set by hand, and addresses that remember."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

from edge_classifier.web.config.settings import NotificationRule, ServerSettings, WebSettings
from edge_classifier.web.guarded_thread import GuardedThread
from edge_classifier.web.notify.addresses import Address
from edge_classifier.web.notify.message_text import MessageContent
from edge_classifier.web.notify.notifier import EventNotifier
from edge_classifier.web.notify.sending import MessageSender
from tests.ports import HOST
from tests.web.conftest import FOLDERS

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PUBLIC = "https://birds.example.org"


class Clock:
    """What the page takes for the time."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


class Receivers:
    """Where messages go: each address by its text, with a way to fail."""

    def __init__(self) -> None:
        self.got: list[tuple[str, MessageContent]] = []
        # By address: what is answered next, each once; then all is taken.
        self.answers: dict[str, list[str]] = {}
        self.tried: list[str] = []

    def __call__(self, address: Address, content: MessageContent, _: Path) -> tuple[str, int]:
        name = address.secret.reveal()
        self.tried.append(name)
        waiting = self.answers.get(name, [])
        problem = waiting.pop(0) if waiting else ""
        if not problem:
            self.got.append((name, content))
        return problem, 500 if problem == "answered" else 0

    @property
    def titles(self) -> list[str]:
        return [content.title for _, content in self.got]


class HttpReceiver:
    """Takes what is posted, or does otherwise."""

    def __init__(self) -> None:
        # Path and body: of requests, and of those that were answered.
        self.arrived: list[tuple[str, bytes]] = []
        self.got: list[tuple[str, bytes]] = []
        self.status, self.body = 200, b"{}"
        self.delay_s = 0.0
        # Whether it says no more after ``body``, and does not hang up.
        self.stays = False
        self._ending = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.arrived.append((self.path, body))
                receiver._ending.wait(receiver.delay_s)
                receiver.got.append((self.path, body))
                with suppress(OSError):
                    self.send_response(receiver.status)
                    self.end_headers()
                    self.wfile.write(receiver.body)
                    if receiver.stays:
                        receiver._ending.wait()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()


def addresses(folder: Path, *lines: str, name: str = "addresses") -> Path:
    """A file with these addresses."""
    file = folder / name
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def rule(folder: Path, name: str = "birds", **facts: Any) -> NotificationRule:
    """A rule that tells the address ``phone`` unless ``addresses_file`` is given."""
    if "addresses_file" not in facts:
        facts["addresses_file"] = addresses(folder, "phone")
    return NotificationRule(name=name, picture_wait_s=facts.pop("picture_wait_s", 0), **facts)


def notifier(
    *rules: NotificationRule, now: Clock, send: Callable[..., tuple[str, int]]
) -> EventNotifier:
    """As it is after a start: what another one has remembered is gone."""
    settings = WebSettings(notify=rules, server=ServerSettings(public_address=PUBLIC))
    sender = MessageSender(settings, FOLDERS.scratch, send=send, now=now, random=lambda: 0.0)
    made = EventNotifier(settings, FOLDERS.scratch, sender=sender, now=now)
    # No test waits for its thread.
    with patch.object(GuardedThread, "start"):
        made.start()
    return made


def run(made: EventNotifier) -> None:
    """All that there is to do now."""
    for _ in range(1000):
        if not made.turn():
            return
    raise AssertionError("the notifier does not come to rest")
