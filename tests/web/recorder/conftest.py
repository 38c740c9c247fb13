"""Fixtures of this folder's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mosquitto import Broker
from tests.web.recording import (
    Sender,
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def sender(broker: Broker) -> Iterator[Sender]:
    with Sender(broker.port) as sender:
        yield sender
