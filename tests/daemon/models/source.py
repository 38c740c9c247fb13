"""A place that models come from, on the loopback interface: honest, slow, cut off, or hostile."""

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "edge_device_right"  # noqa: S105 (of a server that ends with the test)


@dataclass
class Source:
    """Serves ``body`` with ranges; each list is used up from its beginning, an answer each."""

    body: bytes
    url: str = ""
    # What every request's head said.
    requests: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    # Status, and more headers, in place of the file.
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    # How many bytes of the body go out before the connection is cut.
    cuts: list[int] = field(default_factory=list)
    # What is announced in place of the size; None: nothing.
    announced: int | None = -1
    # Called before each piece that is sent.
    before_piece: Callable[[], object] = lambda: None
    piece: int = 1 << 16

    @property
    def ranges(self) -> list[str]:
        return [one.get("range", "") for one in self.requests]


class _Handler(BaseHTTPRequestHandler):
    source: Source

    def do_GET(self) -> None:
        source = self.source
        source.requests.append({name.lower(): value for name, value in self.headers.items()})
        source.paths.append(self.path)
        if source.refusals:
            status, headers = source.refusals.pop(0)
            self._head(status, {"Content-Length": "0", **headers})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._head(401, {"Content-Length": "0"})
        elif self.path.endswith("0" * 64):
            kind = "application/problem+json"
            self._head(404, {"Content-Length": "0", "Content-Type": kind})
        else:
            self._file()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _file(self) -> None:
        source, size = self.source, len(self.source.body)
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(found[1]) if found else 0
        if begin >= size:
            self._head(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
            return
        rest = source.body[begin:]
        length = len(rest) if source.announced == -1 else source.announced
        headers = {} if length is None else {"Content-Length": str(length)}
        if found:
            headers["Content-Range"] = f"bytes {begin}-{size - 1}/{size}"
        self._head(206 if found else 200, headers)
        rest = rest[: source.cuts.pop(0)] if source.cuts else rest
        for start in range(0, len(rest), source.piece):
            source.before_piece()
            self.wfile.write(rest[start : start + source.piece])
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients hang up here, and speak no TLS."""


@contextmanager
def serving(
    body: bytes, *, port: int = 0, certificate: tuple[Path, Path] | None = None
) -> Iterator[Source]:
    """``certificate``: that and its key, for TLS."""
    source = Source(body)
    handler = type("Handler", (_Handler,), {"source": source})
    with _Server(("127.0.0.1", port), handler) as http:
        scheme = "http"
        if certificate:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        source.url = f"{scheme}://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield source
        finally:
            http.shutdown()
            thread.join()
