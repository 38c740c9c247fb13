"""What several tests of the daemon start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.in_process import InProcessDaemon
from tests.daemon.site import DaemonSite
from tests.mosquitto import Broker, Listener
from tests.running_daemon import Remote


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[InProcessDaemon]:
    made = InProcessDaemon(tmp_path)
    made.start()
    yield made
    assert made.cameras.stop(20)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def site(tmp_path: Path, cache: Path) -> Iterator[DaemonSite]:
    with Broker(tmp_path / "broker") as broker, Listener(broker.port, "#") as listener:
        yield DaemonSite(tmp_path, cache, broker, Remote(listener))
