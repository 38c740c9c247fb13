"""Every topic of one device, written and read. Pure."""

import re
from dataclasses import dataclass

from edge_classifier.config.field_types import NAME

ONLINE, OFFLINE = "online", "offline"
# What follows the device's name where others have a camera's.
_REQUEST, _RESPONSE = "request", "response"


@dataclass(frozen=True, slots=True)
class Topics:
    """``base/node/...``, and those of Home Assistant below ``prefix``."""

    base: str
    node: str
    prefix: str

    @property
    def root(self) -> str:
        """What all of this device's own topics begin with."""
        return f"{self.base}/{self.node}"

    @property
    def availability(self) -> str:
        """``online`` or ``offline``, retained; the last will."""
        return f"{self.root}/availability"

    @property
    def stats(self) -> str:
        """Statistics, not retained."""
        return f"{self.root}/stats"

    @property
    def info(self) -> str:
        """Version, settings and labels, retained."""
        return f"{self.root}/info"

    @property
    def requests(self) -> str:
        """The filter that all requests match."""
        return f"{self.root}/{_REQUEST}/+"

    @property
    def object_id(self) -> str:
        """The device in Home Assistant's discovery topic."""
        return f"edge-classifier-{self.node}"

    @property
    def discovery(self) -> str:
        """Where Home Assistant looks for the device's description, retained."""
        return f"{self.prefix}/device/{self.object_id}/config"

    @property
    def home_assistant(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.prefix}/status"

    def camera_availability(self, camera: str) -> str:
        """``online`` or ``offline`` of one camera, retained."""
        return f"{self.root}/{camera}/availability"

    def state(self, camera: str) -> str:
        """What a camera shows now, retained."""
        return f"{self.root}/{camera}/state"

    def event(self, camera: str) -> str:
        """A camera's changes of label, never retained."""
        return f"{self.root}/{camera}/event"

    def snapshot(self, camera: str) -> str:
        """The JPEG behind a camera's last event, retained."""
        return f"{self.root}/{camera}/snapshot"

    def burst(self, camera: str) -> str:
        """The frames of a burst that was asked for, never retained."""
        return burst_topic(self.base, self.node, camera)

    def kept_of(self, camera: str) -> tuple[str, str, str]:
        """The topics of a camera of which the broker keeps the last message."""
        return self.camera_availability(camera), self.state(camera), self.snapshot(camera)

    def request(self, command: str) -> str:
        """Where ``command`` is asked for."""
        return request_topic(self.base, self.node, command)

    def response(self, command: str) -> str:
        """Where ``command`` is answered."""
        return f"{self.root}/{_RESPONSE}/{command}"

    def command_of(self, topic: str) -> str | None:
        """The command that a message on ``topic`` asks for; None if it is not a request."""
        before, _, command = topic.rpartition("/")
        return command if before == f"{self.root}/{_REQUEST}" and command else None


@dataclass(frozen=True, slots=True)
class TopicRoute:
    """What a topic is about.

    ``kind`` is its last level; ``camera`` is empty where the device speaks for itself, and
    ``response`` where ``kind`` is the command that was asked for.
    """

    device: str
    camera: str
    kind: str

    @property
    def is_response(self) -> bool:
        """Whether a daemon answers a request."""
        return self.camera == _RESPONSE


def request_topic(base: str, node: str, command: str) -> str:
    """Where ``command`` is asked of device ``node``."""
    return f"{base}/{node}/{_REQUEST}/{command}"


def burst_topic(base: str, node: str, camera: str) -> str:
    """Where the frames of a burst come."""
    return f"{base}/{node}/{camera}/burst"


def response_filter(base: str) -> str:
    """What all responses of all devices match."""
    return f"{base}/+/{_RESPONSE}/+"


def is_command(base: str, topic: str) -> bool:
    """Whether a daemon is asked for something there, or answers: no news of a camera.

    ``request/snapshot`` is among what a subscription to all snapshots brings.
    """
    levels = topic.removeprefix(f"{base}/").split("/")
    return len(levels) == 3 and levels[1] in (_REQUEST, _RESPONSE)


def route(base: str, topic: str) -> TopicRoute | None:
    """What ``topic`` is about; None for names that no device or camera can have."""
    if not topic.startswith(f"{base}/"):
        return None
    match topic[len(base) + 1 :].split("/"):
        case [device, kind] if is_name(device):
            return TopicRoute(device, "", kind)
        case [device, camera, kind] if is_name(device) and is_name(camera) and camera != _REQUEST:
            return TopicRoute(device, camera, kind)
    return None


def is_name(text: str) -> bool:
    """Whether a device can be called so, or a camera but for ``request`` and ``response``."""
    return bool(re.fullmatch(NAME, text))
