"""Events that the broker refuses: tried again, and before all later ones of their camera."""

from collections import Counter
from collections.abc import Mapping, Sequence

from edge_classifier.mqtt.outbox.outbox_database import QueuedEvent
from edge_classifier.protocols import Clock

# Seconds until events that the broker refused are tried again.
REFUSED_S = 60.0
# An event that was refused so often, while others of its camera are taken, is set aside.
_MAX_REFUSALS = 3
# Events whose refusals are counted.
_MAX_COUNTED = 1_000


class RefusedEvents:
    """Counts refusals, and holds cameras back whose events are refused at present."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, list[QueuedEvent]] = {}
        self._refusals: Counter[str] = Counter()
        self._again_at = 0.0

    @property
    def held(self) -> Mapping[str, Sequence[QueuedEvent]]:
        """The cameras that are held back, with the events that were refused."""
        return self._held

    @property
    def are_due(self) -> bool:
        """Whether there are some, and they have waited for long enough."""
        return bool(self._held) and self._clock() >= self._again_at

    def refuse(self, event: QueuedEvent) -> None:
        """The broker refuses ``event``: its camera is held back."""
        if not self._held:
            self._again_at = self._clock() + REFUSED_S
        self._held.setdefault(event.camera, []).append(event)
        if len(self._refusals) >= _MAX_COUNTED:
            self._refusals.clear()
        self._refusals[event.event_id] += 1

    def take(self, event: QueuedEvent) -> Sequence[QueuedEvent]:
        """The broker has taken ``event``; those of its camera that it will never take.

        These are not held any more: each was refused often, and others are taken.
        """
        self._refusals.pop(event.event_id, None)
        refused = self._held.get(event.camera, ())
        if not refused or any(self._refusals[one.event_id] < _MAX_REFUSALS for one in refused):
            return ()
        return self._held.pop(event.camera)

    def let_go(self) -> None:
        """Hold no camera back any more."""
        self._held.clear()
