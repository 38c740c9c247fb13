"""A real browser that visits the page, and notes whatever goes wrong in it."""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: no browser can be driven")

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    StorageState,
    WebError,
    expect,
    sync_playwright,
)

DESKTOP = (1280, 800)
_CANCELLED = "net::ERR_ABORTED"
# By leaving the page, or, where a document turns out to be a file to be kept; other: its icon.
_MAY_BE_CANCELLED = ("document", "eventsource", "fetch", "image", "other", "script", "stylesheet")
# What Playwright says when a page asks for a service worker, which only tests of it have.
_BLOCKED = "Service Worker registration blocked"
_WITHIN_MS = 20_000
# Its own default is 5 s, which a machine that does something else may need for one page.
expect.set_options(timeout=_WITHIN_MS)


def chromium() -> str:
    """The system's browser; skips the test where there is none."""
    # Without the window that nobody sees: a tab of the whole browser takes five times as long.
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if not found:
        pytest.skip("Chromium is not installed (apt install chromium-headless-shell)")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    program = chromium()
    with sync_playwright() as playwright:
        # Root, as in a container, cannot have Chromium's sandbox.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Trouble:
    """What a user with open developer tools would see in red."""

    # Statuses that are asked for: of a refusal, say.
    allowed: Collection[int] = ()
    found: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext) -> None:
        """Note all that goes wrong in ``context`` from now on."""
        context.on("console", self._told)
        context.on("weberror", self._broke)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)

    def _told(self, message: ConsoleMessage) -> None:
        # Chromium repeats bad answers here; they are noted below, with their addresses.
        expected = "Failed to load resource" in message.text or _BLOCKED in message.text
        if message.type in ("error", "warning") and not expected:
            self.found.append(f"console: {message.text}")

    def _broke(self, error: WebError) -> None:
        self.found.append(f"script: {error.error}")

    def _failed(self, request: Request) -> None:
        is_cancelled = request.failure == _CANCELLED
        if not (is_cancelled and request.resource_type in _MAY_BE_CANCELLED):
            self.found.append(f"request: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.allowed:
            self.found.append(f"answer: {response.url}: {response.status}")


@contextmanager
def visit(
    browser: Browser,
    address: str,
    state: StorageState | None = None,
    *,
    allowed: Collection[int] = (),
    **options: Any,
) -> Iterator[Page]:
    """A tab of a browser of its own; whatever went wrong in it fails the test in the end.

    ``state`` has the cookies of somebody who has logged in.
    """
    size = {"width": DESKTOP[0], "height": DESKTOP[1]}
    context = browser.new_context(
        base_url=address,
        storage_state=state,
        **{"viewport": size, "locale": "en-GB", "service_workers": "block", **options},
    )
    context.set_default_timeout(_WITHIN_MS)
    trouble = Trouble(allowed)
    trouble.watch(context)
    try:
        yield context.new_page()
    finally:
        context.close()
    assert not trouble.found, trouble.found
