"""One page with a real daemon and a browser, for all tests here that drive one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.web.live.live_site import Site


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Site]":
    # Skips where there is no browser.
    from tests.web.live.live_site import running_site

    with running_site(tmp_path_factory.mktemp("site")) as made:
        yield made
