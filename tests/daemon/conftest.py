"""What several tests of the daemon start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.in_process import InProcessDaemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[InProcessDaemon]:
    made = InProcessDaemon(tmp_path)
    made.start()
    yield made
    assert made.cameras.stop(20)
