"""Comments inside JPEG files: how a snapshot says which event it belongs to. Pure."""

import re
from collections.abc import Iterator

_START = b"\xff\xd8"
_COMMENT = 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Start of a scan, end of the picture, not a marker at all: no comment comes after these.
_LAST = (b"\xda", b"\xd9", b"\x00")
# Bytes that fit into one segment, whose length of 16 bits counts itself (ITU T.81, B.2.4.5).
_LONGEST = 65_533
_MOST_MARKERS = 200
_EVENT = re.compile(r"edge-classifier event ([0-9a-f]{32})")


def with_comment(jpeg: bytes, text: str) -> bytes:
    """``jpeg`` with ``text`` as its first comment, 4 bytes longer than both.

    It goes behind the leading application segments, as JFIF's and Exif's must come first.
    Raises ValueError for what is no JPEG, and for more than 65,533 bytes of text.
    """
    content = text.encode("utf-8")
    if not jpeg.startswith(_START) or len(content) > _LONGEST:
        raise ValueError("no JPEG, or too long a comment")
    at = len(_START)
    for marker, _, end in _segments(jpeg):
        if marker not in _APPLICATION:
            break
        at = end
    segment = bytes((0xFF, _COMMENT)) + (len(content) + 2).to_bytes(2, "big") + content
    return jpeg[:at] + segment + jpeg[at:]


def comment_of(jpeg: bytes) -> str | None:
    """The first comment before the picture's data; None if there is none, or no JPEG.

    Bytes that are not UTF-8 become U+FFFD.
    """
    for marker, begin, end in _segments(jpeg):
        if marker == _COMMENT:
            return jpeg[begin:end].decode("utf-8", "replace")
    return None


def event_comment(event_id: str) -> str:
    """What a snapshot says of its event."""
    return f"edge-classifier event {event_id}"


def event_of(jpeg: bytes) -> str | None:
    """The event that a snapshot belongs to, as 32 hexadecimal digits; None if it tells none."""
    found = _EVENT.fullmatch(comment_of(jpeg) or "")
    return found[1] if found else None


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, and where the content of each whole segment before the first scan begins and ends."""
    at = len(_START) if jpeg.startswith(_START) else len(jpeg)
    for _ in range(_MOST_MARKERS):
        lead, marker = jpeg[at : at + 1], jpeg[at + 1 : at + 2]
        if lead != b"\xff" or not marker or marker in _LAST:
            return
        if marker == b"\xff":  # Fill bytes may stand before a marker (B.1.1.2).
            at += 1
            continue
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if not at + 4 <= end <= len(jpeg):
            return
        yield marker[0], at + 4, end
        at = end
