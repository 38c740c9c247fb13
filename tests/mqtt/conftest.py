"""Fixtures of this folder's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import Broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The outbox."""
    return tmp_path / "state" / "outbox.db"
