"""A real browser on pages that Django serves in the tests' own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import Client

from tests import browsing

from playwright.sync_api import Browser, Page  # isort: skip (tests.browsing may skip)


@contextmanager
def browser() -> Iterator[Browser]:
    """Playwright runs an event loop in this thread, in which Django would not read its tables."""
    with pytest.MonkeyPatch.context() as patch, browsing.browser() as found:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield found


@contextmanager
def visit_as(
    client: Client, browser: Browser, live_server: object, **options: Any
) -> Iterator[Page]:
    """A tab of whoever has logged in with ``client``; ``options``: those of `browsing.visit`."""
    address = str(live_server)
    with browsing.visit(browser, address, **options) as page:
        session = client.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": address}])
        yield page
