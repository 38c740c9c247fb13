"""/metrics and /healthz over real sockets: right answers, and clients that are slow or rude."""

import errno
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_classifier.config.settings import HttpSettings
from edge_classifier.daemon.http import HttpServer, exposition
from edge_classifier.daemon.meters import DaemonMetric, MetricSample, counter, gauge
from edge_classifier.daemon.status import HealthReport
from edge_classifier.errors import UnavailableError
from tests.ports import free_port
from tests.waiting import eventually

WELL = HealthReport()


@pytest.mark.parametrize("host", ["[::1]", "::1", "127.0.0.1"])
def test_http_listens_on_an_address_with_brackets_and_without(host: str) -> None:
    server = HttpServer(HttpSettings(host=host, port=0), tuple, lambda: WELL, timeout_s=1.0)
    server.start()
    try:
        connection = http.client.HTTPConnection(host.strip("[]"), server.port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.stop()


@dataclass
class Daemon:
    """What is behind the server."""

    health: HealthReport = WELL
    bug: bool = False
    port: int = field(default_factory=free_port)
    server: HttpServer = field(init=False)

    def __post_init__(self) -> None:
        http = HttpSettings(port=self.port)
        self.server = HttpServer(http, self._metrics, lambda: self.health, timeout_s=1.0)

    def _metrics(self) -> tuple[DaemonMetric, ...]:
        if self.bug:
            raise ZeroDivisionError
        return (gauge("uptime_seconds", "Since the start.", 12.5),)

    def ask(self, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def connect(self, sent: bytes = b"") -> socket.socket:
        """A connection on which no more than ``sent`` is sent."""
        client = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        client.sendall(sent)
        return client


@pytest.fixture(scope="module")
def running() -> Iterator[Daemon]:
    daemon = Daemon()
    daemon.server.start()
    yield daemon
    daemon.server.stop()


@pytest.fixture
def daemon(running: Daemon) -> Daemon:
    """Its server is that of all tests; how it is, is the test's own."""
    running.health, running.bug = WELL, False
    return running


def test_metrics_are_what_prometheus_reads(daemon: Daemon) -> None:
    response, body = daemon.ask("/metrics")
    assert response.status == 200
    assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    (family,) = text_string_to_metric_families(body.decode())
    assert (family.name, family.samples[0].value) == ("edge_classifier_uptime_seconds", 12.5)


@pytest.mark.parametrize(
    ("health", "code", "status"),
    [
        (HealthReport(), 200, "ok"),
        (HealthReport(degraded=("broker: refused",)), 200, "degraded"),
        (HealthReport(cameras={"door": "/dev/video0"}), 200, "ok"),
        (HealthReport(failing=("no camera is online",)), 503, "failing"),
        (HealthReport(("pipeline: no progress for 90 s",), ("broker: refused",)), 503, "failing"),
    ],
)
def test_healthz_says_how_the_daemon_is(
    daemon: Daemon, health: HealthReport, code: int, status: str
) -> None:
    daemon.health = health
    response, body = daemon.ask("/healthz")
    assert (response.status, response.getheader("Content-Type")) == (code, "application/json")
    assert json.loads(body) == {
        "status": status,
        "failing": list(health.failing),
        "degraded": list(health.degraded),
        "cameras": health.cameras,
    }


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/healthz?verbose=1", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/healthz", 405),
        ("DELETE", "/metrics", 405),
        ("BREW", "/metrics", 405),
    ],
)
def test_request_of_another_kind_gets_its_code(
    daemon: Daemon, method: str, path: str, code: int
) -> None:
    response, body = daemon.ask(path, method)
    assert response.status == code
    assert response.getheader("Allow") == ("GET, HEAD" if code == 405 else None)
    assert (body == b"") == (method == "HEAD")


def test_answers_show_no_versions(daemon: Daemon) -> None:
    for path in ("/metrics", "/nothing"):
        response, body = daemon.ask(path)
        assert response.getheader("Server") == "edge-classifier"
        assert b"ython" not in body


@pytest.mark.parametrize(
    "said",
    [b"nonsense\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n",
     b"GET /" + 20_000 * b"a" + b" HTTP/1.1\r\n\r\n", b"\r\n\r\n", b""],
    ids=["nonsense", "version", "tls", "endless", "empty", "nothing"],
)  # fmt: skip
def test_client_that_sends_nonsense_harms_no_other(daemon: Daemon, said: bytes) -> None:
    with daemon.connect(said) as client:
        try:
            client.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The server may have hung up already.
            if error.errno != errno.ENOTCONN:
                raise
        with suppress(ConnectionResetError):
            assert b" 200 " not in client.recv(4096)
    assert daemon.ask("/healthz")[0].status == 200


def test_bug_in_a_metric_is_an_error_of_that_page_alone(daemon: Daemon) -> None:
    daemon.bug = True
    response, body = daemon.ask("/metrics")
    assert (response.status, body) == (500, b"A bug: see the log.\n")
    assert daemon.ask("/healthz")[0].status == 200


def test_slow_clients_take_a_bounded_number_of_threads_and_time(daemon: Daemon) -> None:
    before = threading.active_count()
    clients = [daemon.connect(b"GET /healthz") for _ in range(30)]
    most = before
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            for client in clients:
                try:
                    client.send(b"a")
                except OSError:
                    continue

    dripping = threading.Thread(target=drip)
    dripping.start()

    def all_hung_up() -> bool:
        nonlocal most
        most = max(most, threading.active_count())
        return threading.active_count() <= before + 1

    eventually(all_hung_up)
    stop.set()
    dripping.join()
    for client in clients:
        client.close()
    assert most <= before + 1 + 4
    assert daemon.ask("/healthz")[0].status == 200


def test_many_polite_clients_are_all_answered(daemon: Daemon) -> None:
    assert [daemon.ask("/healthz")[0].status for _ in range(50)] == 50 * [200]


def test_port_in_use_is_a_clear_error_and_nothing_is_left_behind(daemon: Daemon) -> None:
    other = HttpServer(HttpSettings(port=daemon.server.port), tuple, HealthReport)
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{daemon.server.port}.*in use"):
        other.start()
    other.stop()
    assert daemon.ask("/healthz")[0].status == 200


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_address_of_another_machine_is_a_clear_error(host: str) -> None:
    with pytest.raises(UnavailableError, match=host):
        HttpServer(HttpSettings(host=host, port=0), tuple, HealthReport).start()


def test_server_that_was_stopped_can_be_followed_by_another_at_once() -> None:
    daemon = Daemon()
    for _ in range(2):
        daemon.server = HttpServer(HttpSettings(port=daemon.port), tuple, HealthReport)
        daemon.server.start()
        assert daemon.ask("/healthz")[0].status == 200
        assert daemon.server.port == daemon.port
        daemon.server.stop()


# --- the text that Prometheus reads --------------------------------------------------------------

Read = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(*metrics: DaemonMetric) -> tuple[dict[str, str], Read]:
    """Types by name, and values by name and labels."""
    families = list(text_string_to_metric_families(exposition(metrics).decode()))
    types = {family.name: family.type for family in families}
    return types, {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_exposition_counter_gets_its_suffix_and_gauge_none() -> None:
    types, values = read(counter("drops", "Gone.", 3), gauge("store_bytes", "Held.", 1.5e9))
    assert types == {"edge_classifier_drops": "counter", "edge_classifier_store_bytes": "gauge"}
    assert values == {
        ("edge_classifier_drops_total", ()): 3,
        ("edge_classifier_store_bytes", ()): 1.5e9,
    }


def test_exposition_summary_keeps_quantiles_sum_and_count() -> None:
    samples = (
        MetricSample(0.004, {"stage": "inference", "quantile": "0.5"}),
        MetricSample(1.25, {"stage": "inference"}, "_sum"),
        MetricSample(300, {"stage": "inference"}, "_count"),
    )
    types, values = read(DaemonMetric("stage_seconds", "Time.", "summary", samples))
    name = "edge_classifier_stage_seconds"
    assert types == {name: "summary"}
    assert values == {
        (name, (("quantile", "0.5"), ("stage", "inference"))): 0.004,
        (f"{name}_sum", (("stage", "inference"),)): 1.25,
        (f"{name}_count", (("stage", "inference"),)): 300,
    }


@pytest.mark.parametrize("label", ['a "quoted" \\ name', "two\nlines", "猫", ""])
def test_exposition_label_of_any_text_survives(label: str) -> None:
    _, values = read(
        DaemonMetric("online", "Is it?", "gauge", (MetricSample(1, {"camera": label}),))
    )
    assert list(values) == [("edge_classifier_online", (("camera", label),))]


def test_no_metrics_are_an_empty_page() -> None:
    assert exposition(()) == b""
