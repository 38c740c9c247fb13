"""The log of SQLite that lies beside the outbox's file: what one that was killed has left there."""

import struct
from pathlib import Path

# What a log begins with; the last byte says how its numbers are summed up.
_LITTLE_ENDIAN = 0x82
_LOG_BEGINS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")


def is_begun_anew(log: Path) -> bool:
    """Whether the log of a closed file waits for its first commit.

    SQLite begins it anew when the file has all that is in it: with another head, which it waits
    for, so that somebody may be killed before the commit. What follows then is of the head before.
    See section 4 of SQLite's file format.
    """
    try:
        with log.open("rb") as file:
            head, frame = file.read(32), file.read(24)
    except OSError:
        return False
    if len(head) < 32 or head[:4] not in _LOG_BEGINS:
        return False
    words = struct.unpack("<6I" if head[3] == _LITTLE_ENDIAN else ">6I", head[:24])
    first = second = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    if struct.pack(">2I", first, second) != head[24:]:
        return False
    (salt,) = struct.unpack(">I", head[16:20])
    # Each head counts on; a frame of its own that SQLite does not take is a damaged one.
    return len(frame) < 24 or struct.unpack(">I", frame[8:12])[0] == (salt - 1) & 0xFFFFFFFF
