"""Frames of bursts on their way: now or never, bounded, and in nobody's way."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.mqtt.burst_sender import BYTES_A_SECOND
from edge_classifier.mqtt.codec.burst_frames import read_burst_frame
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.vision.jpeg import jpeg_with_comment
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.waiting import eventually

NOISE = Frame(np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8), ColourOrder.BGR)
MOST = 200_000


@contextmanager
def running(
    broker: Broker, folder: Path, protocol: Literal["3.1.1", "5"] = "3.1.1"
) -> Iterator[Publisher]:
    mqtt = MqttSettings(host=HOST, port=broker.port, protocol=protocol)
    made = publisher(broker.port, folder / "outbox.db", mqtt)
    made.start()
    try:
        eventually(lambda: made.status.connected)
        yield made
    finally:
        made.stop(5)


def encode(max_bytes: int | None, comment: str) -> bytes:
    return jpeg_with_comment(NOISE, MOST if max_bytes is None else max_bytes, comment)


def put(made: Publisher, seq: int = 1) -> None:
    made.put_burst_frame(state(seq), 1.0, encode)


def test_frames_are_neither_retained_nor_sent_after_an_outage(
    broker: Broker, tmp_path: Path
) -> None:
    with Listener(broker.port, f"{ROOT}/#") as listener, running(broker, tmp_path) as made:
        put(made)
        eventually(lambda: listener.of("/burst"))
        [frame] = listener.of("/burst")
        assert (frame.retain, frame.qos) == (False, 0)
        broker.kill()
        eventually(lambda: not made.status.connected)
        put(made)
        made.put_events([change(1)], state(1))
        eventually(lambda: made.status.burst_frames_dropped == 1)
        broker.start()
        eventually(lambda: listener.of("/event"))
        eventually(lambda: made.status.waiting == 0)
        assert len(listener.of("/burst")) == 1
        with Listener(broker.port, f"{ROOT}/#", name="late") as late:
            eventually(lambda: late.of("/availability"))
            assert not late.of("/burst")


def test_all_frames_together_have_so_many_bytes_a_second_and_events_go_on(
    broker: Broker, tmp_path: Path
) -> None:
    with Listener(broker.port, f"{ROOT}/#") as listener, running(broker, tmp_path) as made:
        began, put_frames = time.monotonic(), 0
        while time.monotonic() - began < 3:
            put(made)
            put_frames += 1
            threading.Event().wait(0.02)
        took_s = time.monotonic() - began
        made.put_events([change(1)], state(1))
        eventually(lambda: listener.of("/event"))
        eventually(
            lambda: made.status.burst_frames + made.status.burst_frames_dropped == put_frames
        )
        sent = [len(one.payload) for one in listener.of("/burst")]
        assert len(sent) > 1
        assert sum(sent) <= BYTES_A_SECOND * (took_s + 1) + MOST
        assert made.status.burst_frames_dropped


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_frame_is_as_small_as_the_broker_takes_and_stops_nothing(
    tmp_path: Path, protocol: Literal["3.1.1", "5"]
) -> None:
    lines = ("allow_anonymous true", "max_packet_size 10000")
    with (
        Broker(tmp_path / "broker", lines) as broker,
        Listener(broker.port, f"{ROOT}/#") as listener,
        running(broker, tmp_path, protocol) as made,
    ):

        def comes() -> bool:
            put(made)
            threading.Event().wait(0.1)
            return bool(listener.of(f"{CAMERA}/burst"))

        eventually(comes, within_s=60)
        frame = read_burst_frame(listener.of(f"{CAMERA}/burst")[0].payload)
        assert len(frame.jpeg) <= 10_000
        assert frame.meta["label"] == "cat"
        made.put_events([change(1)], state(1))
        eventually(lambda: listener.of("/event"))


def test_frame_that_cannot_be_made_costs_nothing_else(broker: Broker, tmp_path: Path) -> None:
    def fail(_: int | None, __: str) -> bytes:
        raise ValueError("nothing fits")

    with Listener(broker.port, f"{ROOT}/#") as listener, running(broker, tmp_path) as made:
        made.put_burst_frame(state(1), 1.0, fail)
        eventually(lambda: made.status.burst_frames_dropped == 1)
        put(made)
        eventually(lambda: listener.of("/burst"))


@contextmanager
def broker_that_stops_reading() -> Iterator[int]:
    """Accepts a connection, and takes nothing over it; its port."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind((HOST, 0))
        listening.listen()
        opened: list[socket.socket] = []

        def accept() -> None:
            client, _ = listening.accept()
            opened.append(client)
            client.recv(1000)
            client.sendall(b"\x20\x02\x00\x00")  # CONNACK

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        for client in opened:
            client.close()


def test_broker_that_takes_nothing_has_frames_dropped_not_queued(tmp_path: Path) -> None:
    with broker_that_stops_reading() as port:
        made = publisher(port, tmp_path / "outbox.db")
        made.start()
        eventually(lambda: made.status.connected)

        def is_stuck() -> bool:
            """One is under way for good, and the next ones are dropped."""
            before = made.status
            for _ in range(10):
                put(made)
                threading.Event().wait(0.1)
            now = made.status
            return now.burst_frames == before.burst_frames > 0 and (
                now.burst_frames_dropped >= before.burst_frames_dropped + 5
            )

        eventually(is_stuck, within_s=60)
        made.stop(0.1)


def test_frames_come_again_after_an_outage_though_events_never_pause(
    broker: Broker, tmp_path: Path
) -> None:
    """What ended the connection is found out without those that are not sent again."""
    is_over = threading.Event()
    topic = f"{ROOT}/{CAMERA}/burst"
    with Listener(broker.port, topic) as listener, running(broker, tmp_path) as made:

        def go_on() -> None:
            seq = 0
            while not is_over.wait(0.002):
                seq += 1
                made.put_events([change(seq)], state(seq))
                put(made, seq)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            eventually(lambda: listener.messages)
            broker.kill()
            eventually(lambda: not made.status.connected)
            before, waiting = made.status.burst_frames, made.status.waiting
            # A backlog, which would take all the places that there are.
            eventually(lambda: made.status.waiting > waiting + 500)
            broker.start()
            eventually(lambda: made.status.burst_frames > before, within_s=30)
        finally:
            is_over.set()
            thread.join()
