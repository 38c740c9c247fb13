"""After a connection has ended, what was under way goes one by one: soon, and nothing starves."""

import json
from pathlib import Path

from edge_classifier.mqtt.connection.broker_limits import BrokerLimits, SentPacket
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.mqtt.connection.mute_broker import MuteBroker
from tests.waiting import eventually

# Fewer than may wait to be written.
BACKLOG = 800
FRAME = SentPacket("porch/front/burst", 50_000, is_sent_again=False)


def test_state_that_was_under_way_does_not_wait_for_all_events_of_an_outage(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox.db"
    with MuteBroker() as mute:
        made = publisher(mute.port, path)
        made.start()
        eventually(lambda: made.status.connected)
        made.put_events([change(1)], state(1))
        # Nothing is acknowledged: event and state are under way when the connection ends.
        eventually(lambda: made._sender._in_flight)
        for seq in range(2, BACKLOG):
            made.put_events([change(seq)], state(seq))
        port = mute.port
    eventually(lambda: not made.status.connected)
    with (
        Broker(tmp_path / "broker", port=port) as broker,
        Listener(broker.port, f"{ROOT}/{CAMERA}/#") as listener,
    ):
        eventually(lambda: len(listener.of("/event")) >= BACKLOG - 1, within_s=60)
        came = list(listener.messages)
        kinds = [one.topic.rpartition("/")[2] for one in came]
        assert made.stop(10)
    first_state = kinds.index("state")
    assert first_state < kinds.index("event") + BACKLOG // 2
    assert json.loads(came[first_state].payload)["seq"] == BACKLOG - 1


def test_what_is_not_sent_again_is_not_waited_for() -> None:
    limits = BrokerLimits(lambda: 0.0)
    assert limits.end([FRAME, SentPacket("porch/front/state", 300)]) is None
    assert limits.suspects("porch/front/state")
    assert not limits.suspects(FRAME.key)
    limits.take(SentPacket("porch/front/state", 300))
    assert not limits.is_careful


def test_frame_behind_which_connections_end_is_made_smaller_and_events_are_not_blamed() -> None:
    limits = BrokerLimits(lambda: 0.0)
    for number in range(2):
        event = SentPacket("porch/front/event", 400, str(number))
        guilty = limits.end([FRAME, event])
        limits.take(event)
        assert not limits.refuses(event)
    assert guilty == FRAME
    assert limits.refuses(FRAME)
    assert limits.max_payload(FRAME.topic) is not None


def test_frame_is_not_blamed_for_its_size_where_larger_messages_are_taken() -> None:
    limits = BrokerLimits(lambda: 0.0)
    limits.take(SentPacket("porch/info", 80_000))
    for number in range(3):
        event = SentPacket("porch/front/event", 400, str(number))
        assert limits.end([FRAME, event]) is None
        limits.take(event)
    assert not limits.refuses(FRAME)
