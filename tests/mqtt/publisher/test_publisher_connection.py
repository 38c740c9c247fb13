"""How the publisher comes to its broker, and what it says while it does not."""

import logging
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho

from edge_classifier.config.mqtt_settings import MqttSettings, TlsSettings
from edge_classifier.mqtt.inbox import PublisherInbox
from edge_classifier.mqtt.message_writer import CameraLabels
from tests.emitter import CAMERA, ROOT, publisher
from tests.mosquitto import Authority, Broker, Listener, authority, password_file
from tests.mqtt.publisher.publishing import CONFIG, arrived, emit, ids, named, running
from tests.ports import HOST
from tests.waiting import eventually


def test_publisher_tells_of_a_closed_port_once_and_connects_when_it_opens(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path / "broker")
    attempts: list[None] = []
    mqtt = MqttSettings(host=HOST, port=broker.port, username="camera")
    made = publisher(broker.port, path, mqtt, password=lambda: attempts.append(None))
    with caplog.at_level(logging.INFO, "edge_classifier"), running(made):
        eventually(lambda: len(attempts) >= 4)
        assert "nothing listens there" in made.status.reason
        with broker:
            eventually(lambda: made.status.connected)
            assert made.status.reason == ""
    said = [record.message for record in caplog.records if "nothing listens" in record.message]
    assert len(said) == 1


def test_publisher_at_a_broker_that_does_not_answer_gives_up_and_tries_again(path: Path) -> None:
    ahead_s = [0.0]
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        made = publisher(silent.getsockname()[1], path, clock=lambda: time.monotonic() + ahead_s[0])
        with running(made):
            first, _ = silent.accept()
            with first:
                assert first.recv(1)  # it has connected, and waits for an answer
                ahead_s[0] = 31
                eventually(lambda: "did not answer" in made.status.reason)
            second, _ = silent.accept()
            second.close()


def test_publisher_at_a_broker_that_acknowledges_nothing_connects_anew(
    broker: Broker, path: Path
) -> None:
    ahead_s = [0.0]
    made = publisher(broker.port, path, clock=lambda: time.monotonic() + ahead_s[0])
    with Listener(broker.port, f"{ROOT}/{CAMERA}/event") as listener, running(made):
        eventually(lambda: made.status.connected)
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        emit(made, 5)
        eventually(lambda: made.status.waiting == 5)
        ahead_s[0] = 61
        eventually(lambda: "acknowledges nothing" in made.status.reason)
        broker.process.send_signal(signal.SIGCONT)
        eventually(lambda: made.status.published == 5)
        eventually(lambda: list(dict.fromkeys(ids(listener))) == named(5))


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no-such-host.invalid", "the name is not known"),
        ("a" * 70 + ".invalid", "no valid host name"),
    ],
)
def test_publisher_with_a_bad_host_says_so(path: Path, host: str, words: str) -> None:
    made = publisher(1, path, MqttSettings(host=host, port=1883))
    with running(made):
        eventually(lambda: words in made.status.reason)


def test_publisher_whose_bug_spoils_an_acknowledgement_connects_anew_and_loses_nothing(
    broker: Broker, path: Path
) -> None:
    delays: list[float] = []

    def on_published(delay_ms: float) -> None:
        delays.append(delay_ms)
        if len(delays) == 3:
            raise RuntimeError("on purpose")

    made = publisher(broker.port, path, on_published=on_published)
    emit(made, 60)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: made.status.waiting == 0 and made.status.connected)
        # Who listens may be told later than who has sent.
        eventually(lambda: len(set(ids(listener))) == 60)
        assert list(dict.fromkeys(ids(listener))) == named(60)
        eventually(lambda: len(listener.of(f"{ROOT}/availability")) >= 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_publisher_whose_connection_fails_without_a_word_connects_anew(
    broker: Broker, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho's thread ends with an error of ours, and tells nobody."""
    put, failures = PublisherInbox.put_task, iter([True])

    def failing(self: PublisherInbox, name: str, action: Callable[[], None]) -> None:
        if next(failures, False):
            raise KeyError("unforeseen")
        put(self, name, action)

    monkeypatch.setattr(PublisherInbox, "put_task", failing)
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: listener.of(f"{ROOT}/availability"))
        listener.publish(f"{ROOT}/request/reload", "{}")
        eventually(lambda: len(listener.of(f"{ROOT}/availability")) > 1)
        emit(made, 3)
        # Its own thread takes them in, perhaps after the broker's ack.
        eventually(lambda: len(ids(listener)) == 3)
        assert ids(listener) == named(3)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(signed: Authority) -> tuple[Path, Path]:
    return signed.sign("broker", "DNS:localhost,IP:127.0.0.1")


def _guarded(folder: Path, signed: Authority, server: tuple[Path, Path]) -> Broker:
    """TLS with client certificates, passwords and an access list."""
    folder.mkdir()
    (folder / "acl").write_text(
        f"user camera\ntopic readwrite {ROOT}/#\ntopic write {CONFIG}\n"
        "topic read homeassistant/status\nuser reader\ntopic read #\n"
    )
    passwords = password_file(folder, camera="secret", reader="other")
    return Broker(
        folder,
        (
            f"cafile {signed.certificate}",
            f"certfile {server[0]}",
            f"keyfile {server[1]}",
            "require_certificate true",
            f"password_file {passwords}",
            f"acl_file {folder / 'acl'}",
            "allow_anonymous false",
        ),
    )


def test_publisher_over_tls_with_password_and_access_list_publishes(
    tmp_path: Path, path: Path, signed: Authority, server: tuple[Path, Path]
) -> None:
    certificate, key = signed.sign("camera", "DNS:camera")

    def prepare(client: paho.Client) -> None:
        client.tls_set(str(signed.certificate), str(certificate), str(key))
        client.username_pw_set("reader", "other")

    tls = TlsSettings(
        enabled=True, ca_file=signed.certificate, certificate_file=certificate, key_file=key
    )
    with _guarded(tmp_path / "broker", signed, server) as broker:
        mqtt = MqttSettings(host="localhost", port=broker.port, username="camera", tls=tls)
        made = publisher(broker.port, path, mqtt, password=lambda: "secret")
        with Listener(broker.port, "#", prepare=prepare) as listener, running(made):
            made.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
            emit(made, 5)
            eventually(lambda: len(ids(listener)) == 5 and listener.of("/config"))


# paho leaves the socket of a failed handshake to the interpreter, which closes it at once.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    ("host", "user", "password", "tls", "words"),
    [
        ("localhost", "camera", "wrong", {}, "the broker refuses: Not authorized"),
        ("localhost", "", "", {}, "the broker refuses: Not authorized"),
        ("localhost", "camera", "secret", {"ca_file": None}, "certificate is refused"),
        ("127.0.0.2", "camera", "secret", {}, "certificate is refused: IP address mismatch"),
        ("localhost", "camera", "secret", {"ca_file": "no/such.crt"}, "no/such.crt: cannot be"),
        ("localhost", "camera", "secret", {"enabled": False}, "closed before the broker answered"),
        (
            "localhost",
            "camera",
            "secret",
            {"certificate_file": None, "key_file": None},
            # The broker says so and hangs up while the first packet is on its way, which may lose
            # the word: TLS 1.3 has the client speak before its certificate was looked at.
            "CERTIFICATE_REQUIRED|closed before the broker answered",
        ),
    ],
)
def test_publisher_that_is_refused_says_why_in_words_and_keeps_its_events(
    tmp_path: Path,
    path: Path,
    signed: Authority,
    server: tuple[Path, Path],
    host: str,
    user: str,
    password: str,
    tls: dict[str, Any],
    words: str,
) -> None:
    certificate, key = signed.sign("camera", "DNS:camera")
    good: dict[str, Any] = {
        "enabled": True,
        "ca_file": signed.certificate,
        "certificate_file": certificate,
        "key_file": key,
    }
    broker = _guarded(tmp_path / "broker", signed, server)
    broker.address = host.replace("localhost", HOST)
    with broker:
        mqtt = MqttSettings(
            host=host, port=broker.port, username=user, tls=TlsSettings(**(good | tls))
        )
        made = publisher(broker.port, path, mqtt, password=lambda: password)
        with running(made):
            emit(made, 3)
            eventually(lambda: re.search(words, made.status.reason))
            eventually(lambda: made.status.waiting == 3)
            assert "secret" not in made.status.reason
            assert not made.status.connected


def denied(broker: Broker, ending: str = "") -> int:
    """Messages on topics that end so which the broker has refused."""
    return len(re.findall(f"Denied PUBLISH from [^']*'[^']*{ending}'", broker.log))


def test_publisher_with_mqtt_5_keeps_refused_events_and_tries_them_again_in_order(
    tmp_path: Path, path: Path
) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    access = folder / "acl"
    access.write_text(f"topic read #\ntopic write {ROOT}/availability\n")
    ahead_s = [0.0]
    with Broker(folder, ("allow_anonymous true", f"acl_file {access}")) as broker:
        mqtt = MqttSettings(host=HOST, port=broker.port, protocol="5")
        made = publisher(broker.port, path, mqtt, clock=lambda: time.monotonic() + ahead_s[0])
        # All of them are sent at once on connecting.
        emit(made, 10)
        with Listener(broker.port, f"{ROOT}/{CAMERA}/event") as listener, running(made):
            # Those under way when the list changes would go before those that it has refused.
            eventually(
                lambda: made.status.refused == denied(broker) and denied(broker, "/event") == 10
            )
            emit(made, 20, 11)
            eventually(lambda: made.status.waiting == 30)
            assert denied(broker, "/event") == 10
            assert "Not authorized" in made.status.reason
            assert f"refuses {ROOT}" in made.status.reason
            access.write_text("topic readwrite #\n")
            assert broker.process
            broker.process.send_signal(signal.SIGHUP)
            eventually(lambda: "Reloading config" in broker.log)
            ahead_s[0] = 61
            eventually(lambda: made.status.published == 30)
            assert arrived(listener, 30) == named(30)
