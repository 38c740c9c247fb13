"""What the ``source`` of a camera may be said to be: without its passwords."""

import re
from urllib.parse import quote

# Schemes of addresses that are opened as streams.
STREAMS = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "tcp", "udp")
PICTURES = "pictures:"
PICAMERA = "picamera2"
# To the last @: a password may hold any sign, and was perhaps not escaped.
_USERINFO = re.compile(r"(?<=://).*@", re.DOTALL)
# The value of a parameter, unless it is a small number such as a channel's.
_VALUE = re.compile(r"(?<==)(?!\d{1,3}(?:[&;#]|$))[^&;#]*")


def mask(url: str) -> str:
    """``url`` without user, password and whatever its parameters may give away."""
    address, mark, query = _USERINFO.sub("***@", url).partition("?")
    return address + mark + _VALUE.sub("***", query)


def describe(source: str) -> str:
    """A camera's ``source`` for people, without secrets."""
    if is_stream(source):
        return mask(source)
    if device_of(source):
        return device_of(source)
    if picamera_number(source) is not None:
        return f"Raspberry Pi camera {picamera_number(source)}"
    return source.removeprefix(PICTURES)


def is_stream(source: str) -> bool:
    """Whether it is an address."""
    return "://" in source


def scheme_of(source: str) -> str:
    """``rtsp`` of ``RTSP://host``."""
    return source.partition("://")[0].lower()


def device_of(source: str) -> str:
    """``/dev/video0`` of that, or of ``0``; empty: it is not a device."""
    if source.isascii() and source.isdigit():
        return f"/dev/video{int(source)}"
    return source if source.startswith("/dev/") else ""


def picamera_number(source: str) -> int | None:
    """1 of ``picamera2:1``, 0 of ``picamera2``; None: it is not such a camera."""
    found = re.fullmatch(rf"{PICAMERA}(?::(\d{{1,3}}))?", source)
    return int(found[1] or 0) if found else None


def with_login(url: str, credentials: str) -> str:
    """``url`` with ``USER:PASSWORD`` in it, any sign escaped, in place of what it may have had."""
    user, colon, password = credentials.partition(":")
    login = quote(user, safe="") + colon + quote(password, safe="")
    return re.sub(r"://(?:[^/?#]*@)?", lambda _: f"://{login}@", url, count=1)
