"""A line between browser and page on which a page arrives in pieces, as on a busy machine."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from tests.ports import HOST

# Chromium draws what it has when a pause is longer than a frame or two.
_PAUSE_S = 0.06
_HTML = b"content-type: text/html"


@contextmanager
def slow_line(port: int, piece_bytes: int = 3000) -> Iterator[int]:
    """A port behind which is what is at ``port``; documents, and nothing else, come slowly."""
    with socket.create_server((HOST, 0)) as listening:
        threading.Thread(target=_accept, args=(listening, port, piece_bytes), daemon=True).start()
        yield listening.getsockname()[1]
        # Wakes the thread that waits for the next browser.
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, port: int, piece_bytes: int) -> None:
    with suppress(OSError):
        while True:
            browser, _ = listening.accept()
            page = socket.create_connection((HOST, port))
            threading.Thread(target=_send, args=(browser, page), daemon=True).start()
            answer = (browser, page, piece_bytes)
            threading.Thread(target=_answer, args=answer, daemon=True).start()


def _send(browser: socket.socket, page: socket.socket) -> None:
    with suppress(OSError):
        while data := browser.recv(65536):
            page.sendall(data)
        page.shutdown(socket.SHUT_WR)


def _answer(browser: socket.socket, page: socket.socket, piece_bytes: int) -> None:
    is_document = False
    with closing(browser), closing(page), suppress(OSError):
        while data := page.recv(65536):
            if data.startswith(b"HTTP/"):
                is_document = _HTML in data.partition(b"\r\n\r\n")[0].lower()
            step = piece_bytes if is_document else len(data)
            for begin in range(0, len(data), step):
                browser.sendall(data[begin : begin + step])
                if is_document:
                    time.sleep(_PAUSE_S)
