"""A child process that takes pictures, for all tests of a file."""

from collections.abc import Iterator

import pytest

from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web.working import working


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    """One child for all tests: what one of them sends must not harm the next one."""
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found
