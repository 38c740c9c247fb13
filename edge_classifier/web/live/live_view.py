"""What cameras show now, and requests to their daemons: a connection of its own."""

import json
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty
from typing import Any

from edge_classifier.errors import UnavailableError
from edge_classifier.web.live.connection import ConnectionState, LiveConnection
from edge_classifier.web.live.live_state import LiveState, Outline
from edge_classifier.web.live.pending import PendingRequest, PendingRequests
from edge_classifier.web.live.stream import StreamSlots
from edge_classifier.web.settings import WebSettings

_log = logging.getLogger(__name__)
# Seconds between two pictures of each camera that are asked for while somebody watches.
FRESH_S = 10.0
_TEND_S = 1.0
_RESPONSE = "response"
# What is kept by the broker comes at once, and in thousands: at QoS 1 it would queue, and drop.
_TOPICS = (
    ("+/availability", 0),
    ("+/stats", 0),
    ("+/info", 0),
    ("+/+/availability", 0),
    ("+/+/state", 0),
    ("+/+/event", 0),
    ("+/+/snapshot", 0),
    (f"+/{_RESPONSE}/+", 1),
)


class LiveView:
    """Follows all daemons with a clean session, and keeps what they told last, in memory.

    Any thread may call any method.
    """

    def __init__(
        self,
        settings: WebSettings,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``clock``: UTC seconds."""
        # Numbers of changes are of this process only.
        self.mark = secrets.token_hex(4)
        self.seats = StreamSlots(settings.server.streams)
        self._base = settings.mqtt.base_topic
        self._where = f"{settings.mqtt.host}:{settings.mqtt.port}"
        self._clock = clock
        self._board = LiveState(self._base)
        self._news = threading.Condition()
        self._over = threading.Event()
        self._link, self._since = ConnectionState(False, ""), clock()
        self._asks = PendingRequests()
        self._asked_at = 0.0
        topics = [(f"{self._base}/{topic}", qos) for topic, qos in _TOPICS]
        self._connection = LiveConnection(settings.mqtt, topics, self._heard, self._told, chance)
        self._tender = threading.Thread(target=self._tend, name="live-tend", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._connection.start()
        self._tender.start()

    def stop(self) -> None:
        """End; open streams end, too."""
        self.end_streams()
        self._connection.stop()
        self._tender.join(2 * _TEND_S)

    def end_streams(self) -> None:
        """Let the threads go that serve them; a server that is to end waits for its threads."""
        self._over.set()
        with self._news:
            self._news.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether there will be no more news."""
        return self._over.is_set()

    @property
    def broker(self) -> dict[str, Any]:
        """The connection: ``connected``, ``since`` (UTC seconds), ``reason``, ``where``."""
        with self._news:
            link, since = self._link, self._since
        return {
            "connected": link.connected,
            "since": since,
            "reason": link.reason,
            "where": self._where,
        }

    def view(self) -> dict[str, Any]:
        """All devices and cameras as they are now, as JSON values."""
        with self._news:
            devices, ignored = list(self._board.view()), self._board.ignored
        return {"broker": self.broker, "devices": devices, "ignored": ignored}

    def devices(self) -> list[str]:
        """Names of the devices that have been heard of."""
        with self._news:
            return self._board.names()

    def outline(self) -> Outline:
        """Which devices and cameras there are, and when each has changed."""
        with self._news:
            return self._board.outline()

    def device(self, name: str) -> dict[str, Any] | None:
        """One device, without its cameras; None if it has gone."""
        with self._news:
            return self._board.device(name)

    def camera(self, device: str, name: str) -> dict[str, Any] | None:
        """One camera with the chart of its scores; None if it has gone."""
        with self._news:
            return self._board.camera(device, name, self._clock())

    def frame(self, device: str, camera: str) -> bytes | None:
        """The last snapshot: something that begins as a JPEG."""
        with self._news:
            return self._board.frames.get((device, camera))

    def wait(self, version: int, within_s: float) -> None:
        """Return when something newer than ``version`` is there, or after ``within_s``."""
        with self._news:
            self._news.wait_for(lambda: self._board.version > version or self.is_over, within_s)

    def rest(self, pause_s: float) -> None:
        """Return after ``pause_s``, or when all is over."""
        self._over.wait(pause_s)

    def request(
        self, device: str, command: str, payload: Mapping[str, Any], within_s: float = 30.0
    ) -> dict[str, Any]:
        """Ask a daemon, as docs/mqtt.md has it, and wait for its response.

        The response is as it came, with ``status`` "ok" or "error". Raises UnavailableError
        without a connection, for a device that is not online, or without an answer in time.
        """
        self._check(device)
        with self._asks.opened(device, command) as ask:
            body = {**payload, "transaction": ask.transaction}
            if not self._publish(device, command, body, qos=1):
                raise self._unreachable()
            return self._answer(ask, within_s)

    def _check(self, device: str) -> None:
        with self._news:
            connected, online = self._link.connected, self._board.online()
        if not connected:
            raise self._unreachable()
        if device not in online:
            remedy = "Is its daemon running, and connected to the same broker?"
            raise UnavailableError(device, "the device is not online", remedy)

    def _answer(self, ask: PendingRequest, within_s: float) -> dict[str, Any]:
        try:
            answer = ask.answer.get(timeout=within_s)
        except Empty:
            remedy = f"May this page publish to {self._base}/+/request/+? Has it been too much?"
            problem = f"no answer to {ask.command} within {within_s:g} s"
            raise UnavailableError(ask.device, problem, remedy) from None
        if answer is None:
            raise self._unreachable()
        return answer

    def _unreachable(self) -> UnavailableError:
        reason = self.broker["reason"] or "there is no connection yet"
        problem = f"no connection to the broker ({reason})"
        return UnavailableError(self._where, problem, "The page connects again by itself.")

    def _publish(self, device: str, command: str, body: Mapping[str, Any], *, qos: int) -> bool:
        topic = f"{self._base}/{device}/request/{command}"
        return self._connection.publish(topic, json.dumps(body).encode(), qos)

    def _heard(self, topic: str, payload: bytes) -> None:
        match topic.removeprefix(f"{self._base}/").split("/"):
            case [device, middle, command] if middle == _RESPONSE:
                self._asks.take(device, command, payload)
            case _:
                self._take(topic, payload)

    def _take(self, topic: str, payload: bytes) -> None:
        with self._news:
            before = self._board.version
            self._board.take(topic, payload, self._clock())
            if self._board.version != before:
                self._news.notify_all()

    def _told(self, link: ConnectionState) -> None:
        with self._news:
            before, self._link = self._link, link
            if link.connected != before.connected:
                self._since = self._clock()
                if link.connected:
                    self._board.connected(self._since)
            self._news.notify_all()
        if not link.connected:
            self._asks.give_up()
        if link != before:
            _log.log(*_line(link, self._where))

    def _tend(self) -> None:
        while not self._over.wait(_TEND_S):
            now = self._clock()
            with self._news:
                self._board.sweep(now)
            if len(self.seats) and not 0 <= now - self._asked_at < FRESH_S:
                self._asked_at = now
                self._freshen()

    def _freshen(self) -> None:
        """Ask every device that can answer for new pictures; nobody waits for the responses."""
        with self._news:
            devices = self._board.online() if self._link.connected else []
        for device in devices:
            self._publish(device, "snapshot", {}, qos=0)


def _line(link: ConnectionState, where: str) -> tuple[int, str, str, str]:
    """What the log is told."""
    if link.connected and not link.reason:
        return logging.INFO, "live: %s: %s", where, "connected"
    return logging.WARNING, "live: %s: %s", where, link.reason
