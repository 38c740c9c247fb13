"""A broker, someone who listens to it, and room for a daemon between real cameras."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mjpeg import MjpegCamera
from tests.mosquitto import Broker
from tests.running_daemon import HASTY, Daemon, Remote, Tree, colours, model

GERMAN = ("rot", "grün", "blau")
# A broker that was away may be called again only after some seconds.
LONG_S = 60.0


@dataclass
class DaemonSite:
    """A broker, someone who listens to it, and room for a daemon."""

    folder: Path
    cache: Path
    broker: Broker
    remote: Remote

    def daemon(self, cameras: Tree, arguments: tuple[str, ...] = (), **settings: Any) -> Daemon:
        """Not started. Its model names colours."""
        network = model(self.folder / "rgb.tflite")
        whole = {"model": {"use": network}, "decision": HASTY, "cameras": cameras, **settings}
        return Daemon(
            self.folder / "daemon", self.broker.port, whole, self.cache, arguments=arguments
        )

    def slides(self, *names: str, **settings: Any) -> dict[str, Any]:
        """A camera before which these colours change, 20 times a second."""
        folder = self.folder / "-".join(names)
        pictures = folder if folder.exists() else colours(folder, *names)
        return {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 20, **settings}


def stream(camera: MjpegCamera, **settings: Any) -> dict[str, Any]:
    """A camera that is given up and tried again soon."""
    limits = {"open_timeout_s": 3, "read_timeout_s": 1, "retry_max_s": 1}
    return {"source": camera.url, "rate_fps": 10, **limits, **settings}


def seqs(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


def gapless(count: int) -> list[int]:
    return list(range(1, count + 1))
