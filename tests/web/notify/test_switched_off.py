"""A camera that is switched off: nothing of it is published, counted or told, whatever restarts.

Daemon, broker, page and receiver are real. A second camera stays on: all else goes on.
"""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("apprise", reason="the extra [notify] is not installed")

from tests.mosquitto import Broker, Listener
from tests.running_daemon import HASTY, Daemon, Remote, colours, model
from tests.waiting import eventually
from tests.web.notify.telling import HttpReceiver, addresses
from tests.web.serving import Page

RULE = (
    '{{name="{camera}", when=[], cameras=["{camera}"], addresses_file="{file}", picture_wait_s=0}}'
)
OFF, ON = "door", "yard"


class House:
    """Two cameras, a broker, the page and a phone."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.phone = HttpReceiver()
        stack.callback(self.phone.close)
        self.broker = stack.enter_context(Broker(folder / "broker"))
        self.remote = Remote(stack.enter_context(Listener(self.broker.port, "#")))
        pictures = colours(folder / "colours", "red", "green", "blue")
        camera = {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 0.5}
        settings = {
            "model": {"use": model(folder / "rgb.tflite")},
            "decision": HASTY,
            "store": {"enabled": True},
            "cameras": {OFF: camera, ON: camera},
        }
        self.daemon = Daemon(folder / "daemon", self.broker.port, settings, folder / "cache")
        file = addresses(folder, f"json://127.0.0.1:{self.phone.port}/")
        rule = RULE.format(camera=OFF, file=file)
        self.page = Page(folder / "page", (f"mqtt.port={self.broker.port}", f"notify=[{rule}]"))
        stack.enter_context(self.page)
        stack.enter_context(self.daemon.running())

    def told(self, camera: str) -> int:
        """Messages about ``camera``."""
        return sum(camera in json.loads(body)["message"] for _, body in self.phone.got)

    def traces(self) -> tuple[int, int, int]:
        """What there is of the camera that is off: events, messages, pictures that were kept."""
        kept = sum(OFF in str(path) for path in (self.daemon.state / "pictures").rglob("*.jpg"))
        return len(self.remote.events(OFF)), self.told(OFF), kept

    def all_is_told(self) -> bool:
        """Whether there was a message for each event of the camera that is off."""
        return self.told(OFF) == len(self.remote.changes(OFF)) > 0

    def go_on(self) -> None:
        """Wait until the page has recorded more of the other camera, from before to behind."""
        before = self.recorded()
        eventually(lambda: self.recorded() > before + 2, 60)

    def recorded(self) -> int:
        found: int = json.loads(self.page.ask("/healthz").body)["recorder"]["recorded"]
        return found

    def reload(self) -> None:
        assert self.remote.ask("reload")["status"] == "ok"

    def restart_daemon(self) -> None:
        assert self.daemon.stop() == 0
        self.daemon.start()

    def restart_broker(self) -> None:
        self.broker.kill()
        self.broker.start()

    def restart_page(self) -> None:
        self.page.end(signal.SIGKILL)
        self.page.__enter__()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path, stack)


def test_camera_that_is_switched_off_is_told_of_by_nobody_until_it_is_on_again(
    house: House,
) -> None:
    eventually(lambda: house.told(OFF), 60)
    assert house.remote.ask("enable", camera=OFF, enabled=False)["status"] == "ok"
    eventually(house.all_is_told, 90)
    house.go_on()
    before = house.traces()
    assert all(before)
    again: tuple[Callable[[], None], ...] = (
        house.reload,
        house.restart_daemon,
        house.restart_broker,
        house.restart_page,
    )
    for restart in again:
        restart()
        house.go_on()
        assert house.traces() == before, restart.__name__
    house.remote.ask("enable", camera=OFF, enabled=True)
    eventually(lambda: house.told(OFF) > before[1], 60)
