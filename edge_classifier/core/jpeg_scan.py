"""Whether a JPEG file is there as a whole, and how large, told without decoding it. Pure."""

import re

# ITU T.81, table B.1.
_BEGIN, _END, _SCAN = 0xD8, 0xD9, 0xDA
# A frame's header; the three left out are tables and an extension.
_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_SEGMENTS = 200
# Within a scan, FF 00 stands for a byte FF, and D0 to D7 are restarts: any other marker ends it.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd7])", re.DOTALL)


def is_whole_jpeg(data: bytes) -> bool:
    """Whether a frame has a scan and an end, and no other frame's beginning before that.

    What stands behind the end does not matter: some cameras fill their buffers up.
    """
    if not data.startswith(b"\xff\xd8"):
        return False
    found, has_scan = _MARKER.match(data, 2), False
    while found and found[1][0] not in (_BEGIN, _END):
        # The segment's length counts its own two bytes.
        behind = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        is_scan = found[1][0] == _SCAN
        has_scan = has_scan or is_scan
        # A scan's data go on until the next marker; behind any other segment stands the next one.
        found = (_MARKER.search if is_scan else _MARKER.match)(data, behind)
    return has_scan and found is not None and found[1][0] == _END


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, as the file says (ITU T.81, B.2.2); None if it does not."""
    found = _MARKER.match(data, 2) if data.startswith(b"\xff\xd8") else None
    for _ in range(_MOST_SEGMENTS):
        if not found or found[1][0] in (_BEGIN, _END, _SCAN):
            return None
        at = found.end()
        if found[1][0] in _FRAME:
            height, width = (int.from_bytes(data[at + n : at + n + 2], "big") for n in (3, 5))
            return (width, height) if width and height else None
        found = _MARKER.match(data, at + int.from_bytes(data[at : at + 2], "big"))
    return None
