"""Frames of bursts on their way to the broker: sent now or never, as the next one is newer."""

from edge_classifier.mqtt.sender import MakeFrame, Sender
from edge_classifier.protocols import Clock

# Of all cameras of this device together, on average of some seconds.
BYTES_A_SECOND = 1_000_000
_SECONDS_SAVED = 1.0


class BurstSender:
    """Belongs to the publisher's thread.

    At most one frame of a camera is under way, so that a slow broker gets fewer, and never old
    ones.
    """

    def __init__(self, sender: Sender, clock: Clock) -> None:
        self._sender = sender
        self._clock = clock
        # What may be sent at once; below 0 after a large frame.
        self._allowance = BYTES_A_SECOND * _SECONDS_SAVED
        self._allowed_at = clock()
        # Frames since the start: handed to the connection, and dropped.
        self.sent = self.dropped = 0

    def send(self, topic: str, make: MakeFrame) -> None:
        """Make a frame and send it at QoS 0, if that can be now."""
        now_s = self._clock()
        grown = self._allowance + BYTES_A_SECOND * (now_s - self._allowed_at)
        self._allowance = min(BYTES_A_SECOND * _SECONDS_SAVED, grown)
        self._allowed_at = now_s
        size = self._sender.send_frame(topic, make) if self._allowance > 0 else 0
        self._allowance -= size
        if size:
            self.sent += 1
        else:
            self.dropped += 1
