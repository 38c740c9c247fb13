"""What the ``source`` of a camera may be said to be: without its passwords.

Cameras take passwords anywhere in an address: before the host, in the path, behind ``?``, ``;`` or
``#``, under any name or none. So only what is known to be harmless is shown.
"""

import re
from urllib.parse import quote

# Schemes of addresses that are opened as streams.
STREAMS = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "tcp", "udp")
PICTURES = "pictures:"
# Another camera's frames.
CAMERA = "camera:"
PICAMERA = "picamera2"
HIDDEN = "***"
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}(?:%\w+)?\])(?::\d{1,5})?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,15}")
# An address whose slashes were forgotten, or a login without a scheme: in the eyes of this program
# a file, and its name not to be shown either.
_MISWRITTEN = re.compile(
    rf"(?:{'|'.join(STREAMS)}):|(?!{PICTURES})[^/]*:.*@", re.IGNORECASE | re.DOTALL
)
# Of which the paths of cameras are made, as their makers document them.
_WORD = re.compile(
    r"""
    amp|api|asf|asp|av|axis|axisfeed|bin|cam|camera|cams|cgi|ch|channel|channels|cif|codec|
    ext|faststream|feed|frame|getimage|h264|h264preview|h265|h265preview|hd|hls|
    httppreview|image|images|img|index|ipcam|isapi|jpeg|jpg|last|latest|live|livemedia|low|
    main|media|mjpeg|mjpg|mp4|mpeg4|multicast|nph|nphmotionjpeg|onvif|oneshotimage|photo|
    pic|picture|pictures|play|preview|primary|profile|realmonitor|rtsp|sd|sdp|secondary|
    shot|snap|snapshot|snapshots|still|stream|streaming|streams|sub|subtype|third|track|
    tracks|ts|udp|unicast|vga|video|videofeed|videomain|videos|videostream|videosub|view|
    webcam
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A word with a small number such as a channel's.
_TOKEN = re.compile(r"(h26[45][a-z]*|mp4|mpeg4|[a-z]*)([0-9]{0,3})", re.IGNORECASE)
_PARAMETER = re.compile(
    r"""
    ch|channel|chn|camera|cam|fps|height|profile|proto|resolution|res|stream|streamtype|
    subtype|unicast|width
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SMALL = re.compile(r"\d{1,4}(?:x\d{1,4})?", re.IGNORECASE)


def mask(url: str) -> str:
    """``url`` as anybody may see it: scheme, host, port, and what is known to be no secret."""
    scheme, _, rest = url.strip().partition("://")
    shown = f"{scheme if _SCHEME.fullmatch(scheme) else HIDDEN}://"
    end = re.search(r"[/?#;\\]", rest)
    authority, rest = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if "@" in rest:
        # The login may hold any sign and not be escaped, or the path may hold it: what is the host?
        return shown + HIDDEN
    login, at, host = authority.rpartition("@")
    shown += f"{HIDDEN}@" if login or at else ""
    if not _HOST.fullmatch(host):
        return shown + HIDDEN
    path, mark, query = re.split(r"([?#;\\]|$)", rest, maxsplit=1)
    segments, is_known = [], False
    for segment in path.split("/"):
        # A number alone is harmless behind a word, as in ``Channels/101``.
        is_known = _is_harmless(segment, behind_word=is_known)
        segments.append(segment if is_known or not segment else HIDDEN)
    return shown + host + "/".join(segments) + (mark and _masked_query(mark, query))


def _is_harmless(text: str, *, behind_word: bool = False) -> bool:
    """Whether it is made of known words and small numbers; of a number alone, one digit."""
    tokens = [_TOKEN.fullmatch(token) for token in re.split(r"[._-]", text)]
    words = [token[1] if token else HIDDEN for token in tokens]
    has_meaning = any(words) or len(text) == 1 or (behind_word and bool(text))
    return has_meaning and all(map(_WORD.fullmatch, filter(None, words)))


def _masked_query(mark: str, query: str) -> str:
    """Parameters that choose a picture, with small numbers or known words; of the rest a mark."""
    if mark != "?":
        return mark + HIDDEN
    shown = []
    for parameter in query.split("&"):
        name, equals, value = parameter.partition("=")
        is_shown = equals and _PARAMETER.fullmatch(name)
        if is_shown and (_SMALL.fullmatch(value) or _is_harmless(value)):
            shown.append(parameter)
        elif HIDDEN not in shown:
            shown.append(HIDDEN)
    return mark + "&".join(shown)


def describe(source: str) -> str:
    """A camera's ``source`` for people, without secrets."""
    if is_stream(source):
        return mask(source)
    if device_of(source):
        return device_of(source)
    if shared_camera(source):
        return f"the frames of {shared_camera(source)}"
    if picamera_number(source) is not None:
        return f"Raspberry Pi camera {picamera_number(source)}"
    return HIDDEN if is_miswritten(source) else source.removeprefix(PICTURES)


def is_stream(source: str) -> bool:
    """Whether it is an address."""
    return "://" in source


def is_miswritten(source: str) -> bool:
    """Whether it was meant as an address, and has no ``://``: ``rtsp:/host``, ``me:word@host``."""
    return not is_stream(source) and bool(_MISWRITTEN.match(source.strip()))


def address_of(source: str) -> str:
    """The address as libraries want it: without blanks around it, its scheme in small letters."""
    scheme, separator, rest = source.strip().partition("://")
    return scheme.lower() + separator + rest


def scheme_of(source: str) -> str:
    """``rtsp`` of ``RTSP://host``."""
    return source.strip().partition("://")[0].lower()


def device_of(source: str) -> str:
    """``/dev/video0`` of that, or of ``0``; empty: it is not a device."""
    if source.isascii() and source.isdigit():
        return f"/dev/video{int(source)}"
    return source if source.startswith("/dev/") else ""


def shared_camera(source: str) -> str:
    """``front`` of ``camera:front``, whose frames it takes; empty: it has frames of its own."""
    return source.removeprefix(CAMERA) if source.startswith(CAMERA) else ""


def picamera_number(source: str) -> int | None:
    """1 of ``picamera2:1``, 0 of ``picamera2``; None: it is not such a camera."""
    found = re.fullmatch(rf"{PICAMERA}(?::(\d{{1,3}}))?", source)
    return int(found[1] or 0) if found else None


def with_login(url: str, credentials: str) -> str:
    """``url`` with ``USER:PASSWORD`` in it, any sign escaped, in place of what it may have had."""
    user, colon, password = credentials.partition(":")
    login = quote(user, safe="") + colon + quote(password, safe="")
    return re.sub(r"://(?:[^/?#]*@)?", lambda _: f"://{login}@", url, count=1)
