"""/metrics and /healthz over HTTP, for those who may reach the port.

Written here, because prometheus_client and the server of the standard library would take 3 MB.
"""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any, NamedTuple

from edge_classifier.config.settings import HttpSettings
from edge_classifier.core.network.network_address import bare_host, host_and_port
from edge_classifier.daemon.meters import DaemonMetric
from edge_classifier.daemon.status import HealthReport
from edge_classifier.errors import UnavailableError

_log = logging.getLogger(__name__)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METRICS_PREFIX = "edge_classifier_"

# Clients that are served at once; others are turned away meanwhile.
_MAX_CLIENTS = 4
# For a client to send its request, and as long again to take the answer.
_TIMEOUT_S = 5.0
_HEAD_BYTES = 16_384
_TEXT = "text/plain; charset=utf-8"


def exposition(metrics: Iterable[DaemonMetric]) -> bytes:
    """One page of ``metrics`` in the text format that Prometheus reads.

    See https://prometheus.io/docs/instrumenting/exposition_formats.
    """
    lines = []
    for metric in metrics:
        name = METRICS_PREFIX + metric.name + ("_total" if metric.kind == "counter" else "")
        lines += [f"# HELP {name} {_escaped(metric.text)}", f"# TYPE {name} {metric.kind}"]
        for value, labels, suffix in metric.samples:
            escaped = {key: _escaped(text).replace('"', '\\"') for key, text in labels.items()}
            pairs = ",".join(f'{key}="{text}"' for key, text in escaped.items())
            lines.append(f"{name}{suffix}{f'{{{pairs}}}' if pairs else ''} {float(value)!r}")
    return "".join(f"{line}\n" for line in lines).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


class HttpServer:
    """Answers in threads of its own, a bounded number of them, each for a bounded time."""

    def __init__(
        self,
        http: HttpSettings,
        metrics: Callable[[], Iterable[DaemonMetric]],
        health: Callable[[], HealthReport],
        *,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._http = http
        self._timeout_s = timeout_s

        def metrics_page() -> _Answer:
            return _Answer(HTTPStatus.OK, METRICS_TYPE, exposition(metrics()))

        def health_page() -> _Answer:
            found = health()
            body = {
                "status": found.status,
                "failing": found.failing,
                "degraded": found.degraded,
                "cameras": found.cameras,
            }
            status = HTTPStatus.SERVICE_UNAVAILABLE if found.failing else HTTPStatus.OK
            return _Answer(status, "application/json", json.dumps(body).encode() + b"\n")

        self._pages = {"/metrics": metrics_page, "/healthz": health_page}
        self._server: _Server | None = None

    @property
    def port(self) -> int:
        """Listened on; that of the settings unless they leave it open."""
        return int(self._server.server_address[1]) if self._server else self._http.port

    def start(self) -> None:
        """Listen. Raises UnavailableError when the address is not available."""
        where = host_and_port(self._http.host, self._http.port)
        try:
            self._server = _Server(self._http, self._pages, self._timeout_s)
        except OSError as error:
            remedy = "Does another edge-classify run? Else set http.port or http.host"
            raise UnavailableError(where, f"cannot be listened on: {error}", remedy) from error
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()
        _log.info(
            "metrics and health: http://%s/metrics and /healthz",
            host_and_port(self._http.host, self.port),
        )

    def stop(self) -> None:
        """Listen no more; answers under way are cut off when the process ends."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Answer(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: bytes


_Pages = Mapping[str, Callable[[], _Answer]]


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    request_queue_size = 16
    daemon_threads = True

    def __init__(self, http: HttpSettings, pages: _Pages, timeout_s: float) -> None:
        host = bare_host(http.host)
        addresses = socket.getaddrinfo(host, http.port, type=socket.SOCK_STREAM)
        self.address_family = addresses[0][0]
        self.pages = pages
        self.timeout_s = timeout_s
        self._free = threading.BoundedSemaphore(_MAX_CLIENTS)
        super().__init__((host, http.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            # No thread is available.
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        # Clients disconnect, and are too slow: that is theirs.
        _log.debug("http: %s was not answered", client_address, exc_info=True)


class _Handler(BaseRequestHandler):
    """Reads one request and answers it; the time that either takes is bounded."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        head = self._head()
        if not head:
            return
        line, ended, _ = head.partition(b"\r\n")
        method, *others = line.decode("latin-1").split(" ")
        if ended and len(others) == 2 and others[1].startswith("HTTP/1."):
            answer = self._answer(method, others[0].partition("?")[0])
        else:
            method, answer = "", _Answer(HTTPStatus.BAD_REQUEST, _TEXT, b"Not HTTP/1.\n")
        lines = [
            f"HTTP/1.0 {answer.status.value} {answer.status.phrase}",
            "Server: edge-classifier",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
        ]
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        body = b"" if method == "HEAD" else answer.body
        self.request.settimeout(self.server.timeout_s)
        self.request.sendall("\r\n".join([*lines, "\r\n"]).encode("ascii") + body)

    def _head(self) -> bytes:
        """All that the client sends up to the empty line, or to the end, or to a limit."""
        # A limit for each piece alone could be drawn out for ever.
        deadline, head = time.monotonic() + self.server.timeout_s, b""
        while b"\r\n\r\n" not in head and len(head) < _HEAD_BYTES:
            self.request.settimeout(max(deadline - time.monotonic(), 1e-3))
            piece = self.request.recv(4096)
            if not piece:
                break
            head += piece
        return head

    def _answer(self, method: str, path: str) -> _Answer:
        page = self.server.pages.get(path)
        if page is None:
            return _Answer(HTTPStatus.NOT_FOUND, _TEXT, b"There are /metrics and /healthz.\n")
        if method not in {"GET", "HEAD"}:
            return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"GET or HEAD.\n")
        try:
            return page()
        except Exception:  # noqa: BLE001 (must be answered, most of all when there is a bug)
            _log.exception("http: %s", path)
            return _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, _TEXT, b"A bug: see the log.\n")
