"""A broker that answers all but messages."""

import contextlib
import socket
import threading
from typing import Self

from tests.ports import HOST

_CONNECT, _PUBLISH, _SUBSCRIBE, _PING = 1, 3, 8, 12


class MuteBroker:
    """Answers CONNECT, SUBSCRIBE and PINGREQ; PUBLISH only while ``acknowledges`` is set."""

    def __init__(self, protocol: str = "3.1.1") -> None:
        # What MQTT 5 has more in each answer: the length of its properties.
        self._properties = b"\x00" if protocol == "5" else b""
        self.acknowledges = threading.Event()
        # Clients.
        self._accepted = 0
        self._listening = socket.create_server((HOST, 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def has_accepted(self, clients: int) -> bool:
        """Whether it has accepted so many clients by now."""
        return self._accepted >= clients

    def end_newest(self, reason: int) -> None:
        """End the newest connection, with a reason as MQTT 5 has it."""
        newest = self._open[-1]
        newest.sendall(_packet(0xE0, bytes((reason, 0))))
        newest.shutdown(socket.SHUT_WR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client.makefile("rb") as packets:
            while head := packets.read(1):
                size = shift = 0
                more = 0x80
                while more & 0x80:
                    more = packets.read(1)[0]
                    size |= (more & 0x7F) << shift
                    shift += 7
                body = packets.read(size)
                if answer := self._answer(head[0], body):
                    client.sendall(answer)

    def _answer(self, head: int, body: bytes) -> bytes:
        kind = head >> 4
        if kind == _CONNECT:
            self._accepted += 1
            return _packet(0x20, b"\x00\x00" + self._properties)
        if kind == _SUBSCRIBE:
            return _packet(0x90, body[:2] + self._properties + b"\x01")
        if kind == _PING:
            return _packet(0xD0, b"")
        if kind == _PUBLISH and head & 0x06 and self.acknowledges.is_set():
            topic_bytes = int.from_bytes(body[:2], "big")
            return _packet(0x40, body[2 + topic_bytes : 4 + topic_bytes])
        return b""


def _packet(head: int, body: bytes) -> bytes:
    return bytes((head, len(body))) + body
