"""Every topic of one device. Pure."""

from dataclasses import dataclass

ONLINE, OFFLINE = "online", "offline"


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
        """Figures, not retained."""
        return f"{self.root}/stats"

    @property
    def info(self) -> str:
        """Version, settings and labels, retained."""
        return f"{self.root}/info"

    @property
    def requests(self) -> str:
        """The filter that all requests match."""
        return f"{self.root}/request/+"

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
        """Where Home Assistant tells that it has started."""
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

    def request(self, command: str) -> str:
        """Where ``command`` is asked for."""
        return f"{self.root}/request/{command}"

    def response(self, command: str) -> str:
        """Where ``command`` is answered."""
        return f"{self.root}/response/{command}"

    def command_of(self, topic: str) -> str | None:
        """The command that a message on ``topic`` asks for; None if it is no request."""
        before, _, command = topic.rpartition("/")
        return command if before == f"{self.root}/request" and command else None
