"""What cameras show now, and requests to their daemons, over a connection of its own."""

import logging
import random as random_module
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from edge_classifier.core.network.network_address import host_and_port
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import UnavailableError
from edge_classifier.mqtt.codec.camera_settings import CameraSettingsMessage
from edge_classifier.mqtt.codec.device_payloads import request_payload
from edge_classifier.mqtt.connection.broker_connection import (
    BrokerConnection,
    Connected,
    ConnectionEvent,
    ConnectionLost,
    ConnectionOptions,
    ReceivedMessage,
    SubscriptionRefused,
    broker_password,
)
from edge_classifier.mqtt.connection.reconnect import NOT_CONNECTED_YET, Reconnector
from edge_classifier.mqtt.topics import (
    burst_topic,
    is_command,
    request_topic,
    response_filter,
    route,
)
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.guarded_thread import GuardedThread
from edge_classifier.web.http_server.stream_slots import StreamSlots
from edge_classifier.web.live import bursts
from edge_classifier.web.live.camera_list import Outline
from edge_classifier.web.live.live_state import MAX_JPEG, LiveState
from edge_classifier.web.live.pending import PendingRequests

_log = logging.getLogger(__name__)
_TURN_S = 1.0
_MAX_PAUSE_S = 30.0
_DISCONNECT_S = 1.0
# What is kept by the broker comes at once, and in thousands: at QoS 1 it would queue, and drop.
_FILTERS = (
    "+/availability",
    "+/stats",
    "+/info",
    "+/+/availability",
    "+/+/state",
    "+/+/event",
    "+/+/snapshot",
)


class LiveClient:
    """Follows all daemons with a clean session, and keeps what they told last, in memory.

    Any thread may call any method.
    """

    def __init__(
        self,
        settings: WebSettings,
        *,
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """``clock``: UTC seconds. ``random`` gives numbers from [0, 1)."""
        # Numbers of changes are of this process only.
        self.id_prefix = secrets.token_hex(4)
        self.slots = StreamSlots(settings.server.streams, settings.server.streams_per_account)
        self.bursts = bursts.Bursts(self)
        self._mqtt = settings.mqtt
        self._base = settings.mqtt.base_topic
        self._where = host_and_port(settings.mqtt.host, settings.mqtt.port)
        self._clock = clock
        self._state = LiveState(self._base)
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._is_connected, self._reason, self._since = False, "", clock()
        self._requests = PendingRequests()
        self._events: SimpleQueue[ConnectionEvent | None] = SimpleQueue()
        self._reconnector = Reconnector(
            self._connect,
            clock=time.monotonic,
            random=random,
            max_pause_s=_MAX_PAUSE_S,
            name="live",
        )
        self._thread = GuardedThread("live", self._run, random=random)

    def start(self) -> None:
        """Start to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End; open streams end, too."""
        self.end_streams()
        self._thread.end()
        self._events.put(None)
        self._thread.join(2 * _TURN_S)
        self._reconnector.close(_DISCONNECT_S)

    def end_streams(self) -> None:
        """Let the threads go that serve them; a server that is to end waits for its threads."""
        self._over.set()
        self.bursts.end()
        with self._changed:
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether there will be no more news."""
        return self._over.is_set()

    @property
    def problem(self) -> str:
        """Why its thread does not do its work; empty: all is well."""
        return self._thread.problem

    @property
    def broker(self) -> dict[str, Any]:
        """The connection: ``connected``, ``since`` (UTC seconds), ``reason``, ``where``."""
        with self._changed:
            return {
                "connected": self._is_connected,
                "since": self._since,
                "reason": self._reason,
                "where": self._where,
            }

    def as_json(self) -> dict[str, Any]:
        """All devices and cameras as they are now, as JSON values."""
        with self._changed:
            devices, ignored = list(self._state.as_json()), self._state.ignored
        return {"broker": self.broker, "devices": devices, "ignored": ignored}

    def devices(self) -> list[str]:
        """Names of the devices that have been heard of."""
        with self._changed:
            return self._state.names()

    @property
    def has_cameras(self) -> bool:
        """Whether any camera has been heard of."""
        with self._changed:
            return self._state.has_cameras

    def outline(self) -> Outline:
        """Which devices and cameras there are, and when each has changed."""
        with self._changed:
            return self._state.outline()

    def device(self, name: str) -> dict[str, Any] | None:
        """One device, without its cameras; None if it has gone."""
        with self._changed:
            return self._state.device(name)

    def camera(self, device: str, name: str) -> dict[str, Any] | None:
        """One camera with what it has shown, as ``LiveState.camera``; None if it has gone."""
        with self._changed:
            return self._state.camera(device, name)

    def title(self, device: str, camera: str) -> str:
        """What people call a camera; its name where nobody has said."""
        with self._changed:
            return self._state.title(device, camera)

    def settings(self, device: str, camera: str) -> CameraSettingsMessage:
        """What may be set over MQTT of a camera; empty: its daemon does not tell."""
        with self._changed:
            return self._state.settings(device, camera)

    def gives_pictures(self, device: str, camera: str) -> bool:
        """Whether the camera is known, online, and switched on."""
        with self._changed:
            return self._state.gives_pictures(device, camera)

    def frame(self, device: str, camera: str) -> bytes | None:
        """The last snapshot: something that begins as a JPEG."""
        with self._changed:
            return self._state.frames.get((device, camera))

    def wait(self, version: int, within_s: float) -> None:
        """Return when something newer than ``version`` is there, or after ``within_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._state.version > version or self.is_over, within_s)

    def pause(self, pause_s: float) -> None:
        """Return after ``pause_s``, or when all is over."""
        self._over.wait(pause_s)

    def request(
        self, device: str, command: str, payload: Mapping[str, Any], within_s: float = 30.0
    ) -> dict[str, Any]:
        """Ask a daemon, as docs/mqtt.md has it, and wait for its response.

        The response is as it came, with ``status`` "ok" or "error". Raises UnavailableError
        without a connection, for a device that is not online, or without an answer in time.
        """
        with self._changed:
            is_connected, online = self._is_connected, self._state.online()
        if not is_connected:
            raise self._unreachable()
        if device not in online:
            remedy = Sentence("Is its daemon running, and connected to the same broker?")
            raise UnavailableError(device, Sentence("the device is not online"), remedy)
        with self._requests.opened(device, command) as request:
            if not self._publish(device, command, payload, request.transaction):
                raise self._unreachable()
            try:
                answer = request.answer.get(timeout=within_s)
            except Empty:
                remedy = Sentence(
                    "May this page publish to {topic}? Has it been too much?",
                    topic=f"{self._base}/+/request/+",
                )
                problem = Sentence(
                    "no answer to {command} within {seconds} s",
                    command=command,
                    seconds=f"{within_s:g}",
                )
                raise UnavailableError(device, problem, remedy) from None
        if answer is None:
            raise self._unreachable()
        return answer

    def mark_new(self, device: str, camera: str, key: str, at: float) -> None:
        """Show on its card that the event ``key``, of ``at`` in UTC seconds, is new there."""
        with self._changed:
            self._state.mark_new(device, camera, key, at)
            self._changed.notify_all()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Whether it was handed to a connection; nothing is kept until there is one."""
        connection = self._reconnector.connection
        if connection is not None:
            connection.publish(topic, payload, qos=1, retain=retain)
        return connection is not None

    def kept_topics(self, device: str) -> list[str]:
        """All topics of one device of which the broker keeps something, as far as was heard."""
        with self._changed:
            return self._state.kept_topics(device)

    def await_gone(self, device: str, within_s: float) -> bool:
        """Whether nothing is known of a device any more, at the latest after ``within_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: device not in self._state.names(), within_s)

    def tell(self, device: str, command: str, body: Mapping[str, Any]) -> bool:
        """Ask a daemon, and wait for nothing; what comes of it is in what it tells of itself.

        False: there is no connection, or the device is not online.
        """
        with self._changed:
            is_there = self._is_connected and device in self._state.online()
        return is_there and self._publish(device, command, body, secrets.token_hex(8))

    def _unreachable(self) -> UnavailableError:
        reason = self.broker["reason"] or Sentence("not connected yet")
        problem = Sentence("no connection to the broker ({cause})", cause=reason)
        remedy = Sentence("The page connects again by itself.")
        return UnavailableError(self._where, problem, remedy)

    def _publish(
        self, device: str, command: str, body: Mapping[str, Any], transaction: str = ""
    ) -> bool:
        """Whether a request was handed to a connection; without ``transaction`` it may get lost."""
        connection = self._reconnector.connection
        if connection is None:
            return False
        topic = request_topic(self._base, device, command)
        payload = request_payload(body, transaction)
        connection.publish(topic, payload, qos=1 if transaction else 0)
        return True

    # --- for bursts ---------------------------------------------------------------------------

    def ask_burst(self, device: str, body: Mapping[str, Any], transaction: str) -> None:
        """Send ``request/burst``, if there is a connection; its answer comes by itself."""
        self._publish(device, bursts.COMMAND, body, transaction)

    def ask_snapshot(self, device: str, camera: str) -> None:
        """Send ``request/snapshot``, if there is a connection."""
        self._publish(device, "snapshot", {"camera": camera})

    def listen_to_burst(self, device: str, camera: str, *, is_wanted: bool) -> None:
        """Have the frames of a camera's burst sent here, or no more."""
        connection = self._reconnector.connection
        topic = burst_topic(self._base, device, camera)
        if connection and is_wanted:
            connection.subscribe([(topic, 0)])
        elif connection:
            connection.unsubscribe([topic])

    # --- its thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._over.is_set():
            self._reconnector.check()
            self._note_connection()
            try:
                event = self._events.get(timeout=min(_TURN_S, self._reconnector.wait_s))
            except Empty:
                event = None
            if event and self._reconnector.is_current(event.connection):
                self._on_event(event)
            with self._changed:
                self._state.sweep(self._clock())
            self.bursts.renew()

    def _connect(self, number: int) -> BrokerConnection:
        # Another name at each connection: two pages of one configuration are not to fight.
        name = self._mqtt.client_id or "edge-classifier-web"
        options = ConnectionOptions(
            client_id=f"{name}-live-{secrets.token_hex(4)}",
            password=partial(broker_password, self._mqtt.password_file),
            maximum_packet_bytes=MAX_JPEG + 100_000,
        )
        connection = BrokerConnection(
            number, self._mqtt, options, self._events.put, self._on_message
        )
        connection.connect()
        return connection

    def _on_event(self, event: ConnectionEvent) -> None:
        match event:
            case Connected():
                self._reconnector.accept()
                # Before anything that the broker keeps can come.
                self._note_connection()
                if connection := self._reconnector.connection:
                    connection.subscribe((f"{self._base}/{one}", 0) for one in _FILTERS)
                    connection.subscribe([(response_filter(self._base), 1)])
                self.bursts.connected()
            case SubscriptionRefused():
                problem = f"the broker refuses the subscription: {event.problem}"
                _log.warning("live: %s: %s", self._where, problem)
                self._note_connection(problem)
            case ConnectionLost():
                self._reconnector.drop(event.problem)
                self._note_connection()

    def _note_connection(self, problem: str = "") -> None:
        """Let pages and those who wait for responses know how the connection is."""
        is_connected, reason = self._reconnector.connection is not None, problem
        if not is_connected and self._reconnector.reason != NOT_CONNECTED_YET:
            reason = self._reconnector.reason.removeprefix(f"{self._where}: ")
        with self._changed:
            if is_connected != self._is_connected:
                self._is_connected, self._since = is_connected, self._clock()
                if is_connected:
                    self._state.connected(self._since)
                else:
                    self._requests.give_up()
            elif is_connected and not problem:
                return
            self._reason = reason
            self._changed.notify_all()

    # --- paho's thread ------------------------------------------------------------------------

    def _on_message(self, message: ReceivedMessage) -> None:
        try:
            self._take(message.topic, message.payload)
        except Exception:  # noqa: BLE001 (a retained one would end every connection again)
            _log.exception("live: a message could not be taken")

    def _take(self, topic: str, payload: bytes) -> None:
        about = route(self._base, topic)
        if about and about.is_response:
            self._requests.take_response(about.device, about.kind, payload)
            if about.kind == bursts.COMMAND:
                self.bursts.take_response(about.device, payload)
            return
        if about and about.kind == bursts.COMMAND:
            self.bursts.take_frame(about.device, about.camera, payload)
            return
        if is_command(self._base, topic):
            return
        with self._changed:
            before = self._state.version
            self._state.take(topic, payload, self._clock())
            if self._state.version != before:
                self._changed.notify_all()
