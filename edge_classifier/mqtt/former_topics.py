"""Takes back what this device left at the broker under another name, base topic or prefix.

A copy of the card has the same memory, and its original may be alive: what stands under another
root is cleared only while that root's own availability says ``offline``, and that last, so that
whoever is interrupted finds it again.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.mqtt.codec.json_fields import decoded_or_empty, inner
from edge_classifier.mqtt.latest_messages import LatestMessages, MessageKind
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.topics import OFFLINE, Topics, is_name
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

_KEY = "addresses"
# Addresses that wait until the broker is there; the oldest go.
_MAX_FORMER = 8
# Seconds beyond the keep-alive, in which the broker notices that the former daemon is gone.
_ANSWER_S = 30.0


@dataclass(slots=True)
class _Former:
    """One address of before, and how far it is taken back."""

    topics: Topics
    cameras: tuple[str, ...]
    # What is to be cleared, but for the availability.
    kept: frozenset[str]
    # What its availability says; None: not known yet.
    said: bytes | None = None
    is_alive: bool = False
    is_clearing: bool = False

    def stored(self) -> dict[str, Any]:
        """As it is remembered."""
        return {**_stored(self.topics), "cameras": list(self.cameras)}


class FormerTopics:
    """What is left under former addresses. All but ``watched`` belongs to the publisher's thread.

    ``restore`` once; ``begin`` for each connection, whose broker is then to send what comes on
    ``watched``; ``check`` at each turn. An address is forgotten when it is cleared, alive, or when
    the broker has not answered for as long as it keeps a dead connection.
    """

    def __init__(
        self,
        outbox: Outbox,
        latest: LatestMessages,
        topics: Topics,
        mqtt: MqttSettings,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._latest = latest
        # No prefix: not announced.
        self._present = topics if mqtt.discovery else Topics(topics.base, topics.node, "")
        self._answer_s = 1.5 * mqtt.keepalive_s + _ANSWER_S
        self._clock = clock
        self._since = clock()
        self._former: list[_Former] = []
        # The availability of each former root. Of any thread.
        self.watched: frozenset[str] = frozenset()

    def restore(self, remembered: Mapping[str, str], cameras: Iterable[str]) -> None:
        """Begin with what the last daemon knew; ``cameras``: all that it told of."""
        stored = decoded_or_empty(remembered.get(_KEY, "{}"))
        before = inner(stored, "present")
        earlier = stored.get("former")
        found = earlier if isinstance(earlier, list) else []
        found = [one for one in found if isinstance(one, dict)]
        if before and before != _stored(self._present):
            found.append({**before, "cameras": sorted(cameras)})
        former = {(one.topics, one.cameras): one for fields in found if (one := self._read(fields))}
        self._former = list(former.values())[-_MAX_FORMER:]
        self.watched = frozenset(one.topics.availability for one in self._former if self._asks(one))
        self._remember(unless=stored)

    def begin(self, subscribe: Callable[[Iterable[str]], None]) -> None:
        """There is a new connection: ask again who is there."""
        self._since = self._clock()
        for one in self._former:
            self._latest.forget(one.kept | {one.topics.availability})
            one.said, one.is_alive, one.is_clearing = None, False, False
        watched = sorted(one.topics.availability for one in self._former if self._asks(one))
        if watched:
            subscribe(watched)

    def receive(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """What the availability of a former root says."""
        for one in self._former:
            if self._asks(one) and one.topics.availability == topic:
                one.said = payload
                # Said just now, or while it is cleared: somebody else has this address.
                is_offline = payload == OFFLINE.encode()
                one.is_alive |= bool(payload) and not is_offline and not retained

    def check(self) -> None:
        """Go on with each address as far as the broker has answered; while it is connected."""
        for one in tuple(self._former):
            if outcome := self._outcome(one):
                self._latest.forget(one.kept | {one.topics.availability})
                self._former.remove(one)
                self._remember()
                _log.warning("formerly %s: %s", one.topics.root, outcome)

    def _outcome(self, one: _Former) -> str:
        """Begin or go on; how it ended, empty while it has not."""
        is_late = self._clock() >= self._since + self._answer_s
        is_offline = one.said == OFFLINE.encode()
        if one.is_alive or (is_late and one.said and not is_offline):
            return "another device is online there, and keeps it all"
        if not one.is_clearing:
            if not is_offline and self._asks(one):
                return "the broker has no availability of it; nothing is cleared" if is_late else ""
            one.is_clearing = True
            for topic in one.kept:
                self._latest.put(MessageKind.FORMER, topic, b"")
        if not self._latest.is_settled(set(one.kept)):
            return ""
        if not self._asks(one) or one.said == b"":
            return "what the broker kept is cleared"
        if not self._latest.has(one.topics.availability):
            self._latest.put(MessageKind.FORMER, one.topics.availability, b"")
        return "the broker does not let this device clear it" if is_late else ""

    def _remember(self, unless: Mapping[str, Any] | None = None) -> None:
        addresses = {
            "present": _stored(self._present),
            "former": [one.stored() for one in self._former],
        }
        if addresses != unless:
            self._outbox.remember(_KEY, json.dumps(addresses))

    def _asks(self, one: _Former) -> bool:
        """Whether another device may be there. Our own root has nobody else."""
        return one.topics.root != self._present.root

    def _read(self, fields: Mapping[str, Any]) -> _Former | None:
        """None for what a failing card has spoilt, and where nothing is left to be cleared."""
        base, node, prefix = (fields.get(name) for name in ("base", "node", "prefix"))
        names = fields.get("cameras")
        if not isinstance(base, str) or not isinstance(node, str) or not isinstance(prefix, str):
            return None
        if not base or set("+#\0") & set(base + prefix) or not is_name(node):
            return None
        topics = Topics(base, node, prefix)
        cameras = names if isinstance(names, list) else []
        cameras = [name for name in cameras if isinstance(name, str) and is_name(name)]
        kept = {topics.info, topics.discovery} if prefix else {topics.info}
        for camera in cameras:
            kept |= set(topics.kept_of(camera))
        # What the device has now, perhaps under a camera's name of before.
        own = f"{self._present.root}/"
        kept -= {self._present.discovery} if self._present.prefix else set()
        kept = {topic for topic in kept if not topic.startswith(own)}
        is_own = topics.availability.startswith(own) and topics.root != self._present.root
        if not kept or is_own:
            return None
        return _Former(topics, tuple(cameras), frozenset(kept))


def _stored(topics: Topics) -> dict[str, Any]:
    return {"base": topics.base, "node": topics.node, "prefix": topics.prefix}
