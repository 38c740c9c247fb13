"""What systemd hears, over a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_classifier.daemon.systemd import Notifier


class Manager:
    """A socket as systemd's."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(address)

    def heard(self) -> dict[str, str]:
        lines = self.socket.recv(4096).decode().split("\n")
        return {key: value for key, _, value in (line.partition("=") for line in lines)}


@pytest.fixture(params=["path", "abstract"])
def spoken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, Notifier]]:
    """A manager, and a notifier that speaks to it, by either kind of address."""
    name = f"edge-classifier-test-{os.getpid()}"
    path = request.param == "path"
    told = str(tmp_path / "notify") if path else f"@{name}"
    manager = Manager(told if path else f"\0{name}")
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": told})
    yield manager, notifier
    notifier.close()
    manager.socket.close()


Spoken = tuple[Manager, Notifier]


def test_notifier_reports_that_the_service_is_ready(spoken: Spoken) -> None:
    manager, notifier = spoken
    assert notifier.ready("2 cameras")
    assert manager.heard() == {"READY": "1", "STATUS": "2 cameras"}


def test_notifier_reports_the_rest_one_by_one(spoken: Spoken) -> None:
    manager, notifier = spoken
    assert all((notifier.status("door: offline"), notifier.alive(), notifier.stopping()))
    heard = [manager.heard() for _ in range(3)]
    assert heard == [{"STATUS": "door: offline"}, {"WATCHDOG": "1"}, {"STOPPING": "1"}]


def test_notifier_reports_a_status_of_several_lines_in_one(spoken: Spoken) -> None:
    manager, notifier = spoken
    notifier.status("lost\nWATCHDOG=1")
    assert manager.heard() == {"STATUS": "lost WATCHDOG=1"}


def test_notifier_without_systemd_does_nothing() -> None:
    notifier = Notifier.from_environment({})
    assert not notifier.ready()
    notifier.close()


def test_notifier_of_a_manager_that_has_gone_goes_on(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    assert not notifier.alive()
    notifier.close()
    assert not notifier.alive()


def test_notifier_of_a_manager_that_does_not_listen_never_waits(spoken: Spoken) -> None:
    manager, notifier = spoken
    said = 0
    while notifier.status("x" * 1000):
        said += 1
        assert said < 100_000, "the manager's queue has no end"
    manager.heard()
    assert notifier.alive()
