"""Comments inside JPEG files: how a snapshot says which event it belongs to, and more. Pure.

The first comment has the event's id and nothing else, as all versions read it. The second one says
when the frame was captured, and where in it something moved.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_START = b"\xff\xd8"
_COMMENT = 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Start of a scan, end of the picture, not a marker at all: no comment comes after these.
_LAST = (b"\xda", b"\xd9", b"\x00")
# Bytes that fit into one segment, whose length of 16 bits counts itself (ITU T.81, B.2.4.5).
_LONGEST = 65_533
_MOST_MARKERS = 200
_EVENT = re.compile(r"edge-classifier event ([0-9a-f]{32})")
_SHARE = r" ([01]\.\d{4})"
_FRAME = re.compile(rf"edge-classifier frame (\d{{1,15}})(?:{4 * _SHARE})?")
_MOST_COMMENTS = 4


class SnapshotFrame(NamedTuple):
    """What a snapshot says of its frame."""

    # Milliseconds since 1970, by the device.
    captured_ms: int
    # What was looked at: left, top, width, height as shares of the frame; None: the whole of it.
    box: tuple[float, float, float, float] | None


def with_comment(jpeg: bytes, text: str) -> bytes:
    """``jpeg`` with ``text`` as its first comment, 4 bytes longer than both.

    It goes behind the leading application segments, as JFIF's and Exif's must come first.
    Raises ValueError for what is not a JPEG, and for more than 65,533 bytes of text.
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
    return next(iter(comments_of(jpeg)), None)


def comments_of(jpeg: bytes) -> list[str]:
    """The first few comments before the picture's data, as ``comment_of`` has them."""
    found = [
        jpeg[begin:end].decode("utf-8", "replace")
        for marker, begin, end in _segments(jpeg)
        if marker == _COMMENT
    ]
    return found[:_MOST_COMMENTS]


def event_comment(event_id: str) -> str:
    """What a snapshot says of its event."""
    return f"edge-classifier event {event_id}"


def event_of(jpeg: bytes) -> str | None:
    """The event that a snapshot belongs to, as 32 hexadecimal digits; None if it tells none."""
    found = _EVENT.fullmatch(comment_of(jpeg) or "")
    return found[1] if found else None


def frame_comment(
    captured_utc_s: float, box: tuple[float, float, float, float] | None = None
) -> str:
    """What a snapshot says of its frame; ``box`` as ``SnapshotFrame`` has it."""
    shares = "".join(f" {share:.4f}" for share in box or ())
    return f"edge-classifier frame {round(1000 * captured_utc_s)}{shares}"


def frame_of(jpeg: bytes) -> SnapshotFrame | None:
    """What a snapshot says of its frame; None if it says nothing, as those of older daemons."""
    for text in comments_of(jpeg):
        if found := _FRAME.fullmatch(text):
            captured, *shares = found.groups()
            left, top, width, height = (float(share or 0) for share in shares)
            # A whisker more than 1 is what rounding does.
            is_inside = width > 0 and height > 0 and left + width <= 1.001 and top + height <= 1.001
            box = (left, top, width, height) if is_inside else None
            return SnapshotFrame(int(captured), box)
    return None


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
