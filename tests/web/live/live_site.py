"""One page with a real daemon, its broker, and a browser."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests import browsing
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.running_daemon import HASTY, ROOT, Daemon, model
from tests.web.serving import PASSWORD, Page, prepare

from playwright.sync_api import Browser  # isort: skip (tests.browsing may skip)
from playwright.sync_api import Page as Tab  # isort: skip


@dataclass(frozen=True)
class Site:
    """The page, its broker, whoever listens there, and a browser."""

    page: Page
    broker: Broker
    watch: Listener
    browser: Browser
    session: str
    daemon: Daemon

    @contextmanager
    def visit(self, **options: Any) -> Iterator[Tab]:
        with browsing.visit(self.browser, self.page.address, **options) as tab:
            cookie = {"name": "sessionid", "value": self.session, "url": self.page.address}
            tab.context.add_cookies([cookie])  # type: ignore[list-item]
            yield tab

    def asked(self) -> list[dict[str, Any]]:
        """Bursts that daemons were asked for."""
        return [json.loads(one.payload) for one in self.watch.of("/request/burst")]


def moving_square(folder: Path) -> Path:
    """Pictures of noise in which a green square is somewhere else each time."""
    folder.mkdir()
    chance = np.random.default_rng(1)
    ground = chance.integers(90, 110, (240, 320, 3), np.uint8)
    for number in range(8):
        pixels = ground.copy()
        pixels[80:160, 30 * number : 30 * number + 80] = (0, 255, 0)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """All of it, below ``folder``."""
    prepare(folder / "state", "anna")
    source = f"pictures:{moving_square(folder / 'square')}"
    camera = {"source": source, "picture_s": 0.3, "look": "motion"}
    settings = {
        "cameras": {"front": {**camera, "title": "Front door"}, "back": camera},
        "decision": HASTY,
        "model": {"use": model(folder / "rgb.tflite")},
    }
    with Broker(folder / "broker") as broker, browsing.browser() as browser:
        daemon = Daemon(folder / "daemon", broker.port, settings, folder / "cache")
        mqtt = (f"mqtt.host={HOST}", f"mqtt.port={broker.port}")
        topics = (f"{ROOT}/request/+", f"{ROOT}/+/burst")
        with (
            Listener(broker.port, *topics, name="watch") as watch,
            daemon.running(),
            Page(folder / "state", mqtt) as page,
        ):
            line = page.log_in("anna", PASSWORD).cookies["sessionid"]
            session = line.partition(";")[0].partition("=")[2]
            yield Site(page, broker, watch, browser, session, daemon)
