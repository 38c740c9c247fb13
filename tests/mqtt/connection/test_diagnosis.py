"""Health names what is wrong at the broker, and no message is blamed for what it has not done."""

import logging
import time
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal

import pytest

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.mqtt.connection.diagnosis import ConnectionDiagnosis, EndCause
from tests.emitter import change, publisher, state
from tests.mosquitto import Broker
from tests.mqtt.connection.mute_broker import MuteBroker
from tests.ports import HOST
from tests.waiting import eventually

SILENT = "the broker acknowledges nothing"
TAKEN_OVER = "another client uses this client id"


def test_broker_that_acknowledges_nothing_is_named_until_it_does_and_no_message_is_blamed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ahead_s = [0.0]
    with MuteBroker() as broker, caplog.at_level(logging.INFO, "edge_classifier"):
        made = publisher(
            broker.port, tmp_path / "outbox.db", clock=lambda: time.monotonic() + ahead_s[0]
        )
        made.start()
        try:
            made.put_events([change(1)], state(1))
            eventually(lambda: made.status.connected and made.status.waiting == 1)
            assert made.status.reason == ""
            ahead_s[0] += 11
            eventually(lambda: made.status.reason == SILENT)
            assert made.status.connected
            for accepted in (2, 3, 4, 5):
                ahead_s[0] += 61
                eventually(partial(broker.has_accepted, accepted))
                eventually(lambda: made.status.connected)
                assert made.status.reason == SILENT
            broker.acknowledges.set()
            ahead_s[0] += 61
            eventually(lambda: made.status.published == 1)
            eventually(lambda: made.status.reason == "")
        finally:
            made.stop(5)
    assert "too large for the broker" not in caplog.text
    assert "set aside" not in caplog.text


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_two_daemons_of_one_name_are_told_of_each_other_and_no_message_is_blamed(
    tmp_path: Path, protocol: Literal["3.1.1", "5"], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "edge_classifier"),
        Broker(tmp_path / "broker") as broker,
        ExitStack() as stack,
    ):
        mqtt = MqttSettings(host=HOST, port=broker.port, protocol=protocol)
        daemons = [
            publisher(broker.port, tmp_path / name / "outbox.db", mqtt) for name in ("a", "b")
        ]
        for made in daemons:
            made.start()
            stack.callback(made.stop, 5)
        numbers = count()

        def both_are_told() -> bool:
            for made in daemons:
                made.put_stats({"fps": next(numbers)})
            return all(TAKEN_OVER in made.status.reason for made in daemons)

        eventually(both_are_told)
        for _ in range(300):
            both_are_told()
            time.sleep(0.01)
    # mosquitto tells of it from 2.0.12 on, and with MQTT 5 only.
    assert TAKEN_OVER in caplog.text
    assert "too large for the broker" not in caplog.text
    assert "set aside" not in caplog.text


def test_session_that_another_client_takes_over_is_named_and_no_message_is_blamed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """MQTT 5 tells it; the broker does so while events wait for their acknowledgement."""
    with MuteBroker(protocol="5") as broker, caplog.at_level(logging.INFO, "edge_classifier"):
        mqtt = MqttSettings(host=HOST, port=broker.port, protocol="5")
        made = publisher(broker.port, tmp_path / "outbox.db", mqtt)
        made.start()
        try:
            made.put_events([change(1)], state(1))
            for accepted in (1, 2, 3, 4, 5):
                eventually(partial(broker.has_accepted, accepted))
                eventually(lambda: made.status.connected)
                broker.end_newest(0x8E)
                eventually(lambda: made.status.reason.startswith(TAKEN_OVER))
            broker.acknowledges.set()
            eventually(lambda: made.status.published == 1)
            assert made.status.reason.startswith(TAKEN_OVER)
        finally:
            made.stop(5)
    assert "too large for the broker" not in caplog.text
    assert "set aside" not in caplog.text


def ended(diagnosis: ConnectionDiagnosis, *, is_explained: bool = False) -> str:
    diagnosis.begin()
    diagnosis.end(EndCause.UNKNOWN, is_explained=is_explained)
    return diagnosis.reason


def test_diagnosis_of_short_connections_without_one_message_names_another_client() -> None:
    now = [0.0]
    diagnosis = ConnectionDiagnosis(lambda: now[0])
    assert ended(diagnosis) == ""
    assert ended(diagnosis) == ""
    assert TAKEN_OVER in ended(diagnosis)
    diagnosis.begin()
    now[0] += 29
    diagnosis.watch(None)
    assert TAKEN_OVER in diagnosis.reason
    now[0] += 2
    diagnosis.watch(None)
    assert diagnosis.reason == ""


def test_diagnosis_of_connections_that_end_behind_one_message_names_nobody() -> None:
    diagnosis = ConnectionDiagnosis(lambda: 0.0)
    assert ended(diagnosis) == ""
    assert ended(diagnosis) == ""
    for _ in range(10):
        assert ended(diagnosis, is_explained=True) == ""


def test_diagnosis_of_long_connections_that_end_names_nobody() -> None:
    now = [0.0]
    diagnosis = ConnectionDiagnosis(lambda: now[0])
    for _ in range(10):
        diagnosis.begin()
        now[0] += 31
        diagnosis.end(EndCause.UNKNOWN, is_explained=False)
    assert diagnosis.reason == ""


def test_diagnosis_counts_silence_from_the_last_acknowledgement() -> None:
    now = [0.0]
    diagnosis = ConnectionDiagnosis(lambda: now[0])
    diagnosis.begin()
    for _ in range(5):
        now[0] += 9
        diagnosis.acknowledge(1)
        diagnosis.watch(0.0)
        assert diagnosis.reason == ""
    now[0] += 10
    diagnosis.watch(0.0)
    assert diagnosis.reason == SILENT
