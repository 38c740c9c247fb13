"""How the page and its child talk: a header in JSON, then bytes.

4 bytes   length of the header, big-endian
header    a JSON object; its ``sizes`` are the lengths of what follows
bytes     one part after the other
"""

import json
import struct
from typing import Any, BinaryIO, NamedTuple

_LENGTH = struct.Struct(">I")
_HEADER_LIMIT = 32_000_000
# Bytes; a child that a picture has taken over must not fill the page's memory.
_PARTS_LIMIT = 256_000_000


class Message(NamedTuple):
    """One question or answer."""

    header: dict[str, Any]
    parts: tuple[bytes, ...] = ()


def send(stream: BinaryIO, message: Message) -> None:
    """Write ``message`` as a whole. Raises OSError when nobody listens any more."""
    sizes = [len(part) for part in message.parts]
    header = json.dumps({**message.header, "sizes": sizes}).encode()
    stream.writelines((_LENGTH.pack(len(header)), header, *message.parts))
    stream.flush()


def receive(stream: BinaryIO) -> Message:
    """Read one message.

    Raises EOFError when the other side has gone, ValueError when it talks nonsense.
    """
    (length,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    if length > _HEADER_LIMIT:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(_read(stream, length))
    sizes = _sizes(header)
    return Message(header, tuple(_read(stream, size) for size in sizes))


def _sizes(header: Any) -> list[int]:
    sizes = header.pop("sizes", None) if isinstance(header, dict) else None
    if not isinstance(sizes, list) or not all(isinstance(s, int) and s >= 0 for s in sizes):
        raise ValueError("a header without sizes")
    if sum(sizes) > _PARTS_LIMIT:
        raise ValueError(f"{sum(sizes)} bytes")
    return sizes


def _read(stream: Any, size: int) -> bytes:
    found: bytes = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found
