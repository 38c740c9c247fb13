"""Fixtures of this folder's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mqtt.outbox.queued import OPEN, cut


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "outbox.db"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for outbox in OPEN:
        cut(outbox)
    OPEN.clear()
