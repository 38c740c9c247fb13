"""What the tour through the page needs: its server and broker, people, a program with pictures."""

import io
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from uuid import UUID

from PIL import Image, ImageEnhance, ImageOps
from playwright.sync_api import Browser, StorageState, expect
from playwright.sync_api import Page as Tab

from edge_classifier import samples
from tests import browsing
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.web.serving import PASSWORD, Page

# What was said of a record, and its true label.
Verdict = tuple[str, str | None]


@dataclass(frozen=True)
class Site:
    """The server, the broker that it listens to, and a browser."""

    server: Page
    broker: Broker
    browser: Browser

    @contextmanager
    def visit(self, state: StorageState | None = None, **options: Any) -> Iterator[Tab]:
        """A tab in which nothing may go wrong."""
        with browsing.visit(self.browser, self.server.address, state, **options) as tab:
            yield tab

    def reviews(self) -> dict[str, Verdict]:
        """What was said of each record that has been reviewed, by its key."""
        query = (
            "SELECT key, verdict, name FROM web_record LEFT JOIN web_label"
            " ON web_label.id = truth_id WHERE verdict <> ''"
        )
        address = f"file:{self.server.state / 'web.db'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            rows = database.execute(query)
            return {str(UUID(key)): (verdict, truth) for key, verdict, truth in rows}


def choose_password(tab: Tab) -> None:
    for field in ("#id_password1", "#id_password2"):
        tab.locator(field).fill(PASSWORD)


def log_in(site: Site, name: str) -> StorageState:
    with site.visit() as tab:
        tab.goto("/login")
        tab.get_by_label("Username").fill(name)
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Log in").click()
        expect(tab.get_by_role("link", name="Live")).to_be_visible()
        return tab.context.storage_state()


@dataclass(frozen=True)
class Sent:
    """A picture that was sent."""

    truth: str
    # The model's.
    guess: str


class Program:
    """Somebody's program, which sends pictures to the API."""

    def __init__(self, site: Site, secret: str) -> None:
        self.port = site.server.port
        self.headers = {"Authorization": f"Bearer {secret}"}

    def upload(self, kinds: Sequence[str], seed: int) -> dict[str, Sent]:
        """Classify one picture of each of ``kinds``; by the records' keys."""
        sent = {}
        for jpeg, kind in zip(photographs(kinds, seed), kinds, strict=True):
            result = self._ask("POST", "/classify", jpeg, "image/jpeg")["results"][0]
            sent[result["saved"]["key"]] = Sent(kind, result["label"])
        return sent

    def review(self, key: str, truth: str) -> None:
        """Say what a record really shows; without ``truth`` take back what was said."""
        verdict = {"verdict": "corrected", "truth": truth} if truth else {"verdict": ""}
        body = json.dumps(verdict).encode()
        self._ask("PUT", f"/records/{key}/review", body, "application/json")

    def _ask(self, method: str, path: str, body: bytes, kind: str) -> Any:
        headers = {**self.headers, "Content-Type": kind}
        connection = HTTPConnection(HOST, self.port, timeout=60)
        with closing(connection):
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return json.load(answer)


def photographs(kinds: Sequence[str], seed: int) -> Iterator[bytes]:
    """For each of ``kinds`` that bundled photograph, as if taken from elsewhere; JPEGs."""
    chance = random.Random(seed)  # noqa: S311 (pictures only)
    for kind in kinds:
        with Image.open(samples.FOLDER / f"{kind}.jpg") as opened:
            picture = opened.convert("RGB")
        share = chance.uniform(0.55, 0.9)
        width, height = (round(share * side) for side in picture.size)
        left = chance.randrange(picture.width - width)
        top = chance.randrange(picture.height - height)
        picture = picture.crop((left, top, left + width, top + height))
        if chance.random() < 0.5:
            picture = ImageOps.mirror(picture)
        picture = picture.rotate(chance.uniform(-25, 25))
        picture = ImageEnhance.Brightness(picture).enhance(chance.uniform(0.6, 1.4))
        file = io.BytesIO()
        picture.save(file, "JPEG")
        yield file.getvalue()
