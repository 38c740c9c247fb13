"""The frames of a burst: JPEGs whose first comment is a small JSON of what was seen. Pure."""

from dataclasses import dataclass
from typing import TypedDict

from edge_classifier.core.events import CameraState
from edge_classifier.core.jpeg_comment import comment_of
from edge_classifier.core.jpeg_scan import is_whole_jpeg
from edge_classifier.files import utc_stamp
from edge_classifier.mqtt.codec.camera_payloads import (
    MAX_LABEL,
    Names,
    box_payload,
    read_box,
    rounded,
    top_payload,
)
from edge_classifier.mqtt.codec.json_fields import (
    decoded,
    encoded,
    line,
    number_or_none,
    utc_datetime,
)

# What may be asked for, and what comes where it is not said.
MAX_SECONDS, MIN_RATE_FPS, MAX_RATE_FPS = 20.0, 0.1, 5.0
MIN_LONGEST_PX, MAX_LONGEST_PX = 32, 1920
MIN_FRAME_BYTES, MAX_FRAME_BYTES = 2_000, 250_000
_PREFIX = "edge-classifier burst "
_MAX_COMMENT, _MAX_TOP = 20_000, 5


@dataclass(frozen=True, slots=True)
class BurstRequest:
    """What is asked of a camera."""

    # From now on; 0 ends what was asked before.
    seconds: float = 10.0
    # Most frames a second.
    rate_fps: float = 1.0
    # Of the longer side of each picture.
    longest_px: int = 640
    # Of each picture.
    max_bytes: int = 100_000


class BurstBox(TypedDict):
    """What the network saw, in shares of the frame's width and height."""

    left: float
    top: float
    width: float
    height: float


class BurstRank(TypedDict):
    """One label with its smoothed score; ``name`` is in the device's language."""

    label: str
    name: str
    score: float


class BurstMeta(TypedDict):
    """What the camera showed when the frame was captured."""

    # ISO 8601, UTC: when it was captured.
    ts: str
    # As in the camera's state.
    label: str
    name: str
    score: float
    # The best labels, best first.
    top: list[BurstRank]
    # None: the network saw the whole frame.
    box: BurstBox | None


@dataclass(frozen=True, slots=True)
class BurstFrame:
    """One frame, as it was received."""

    jpeg: bytes
    meta: BurstMeta


def burst_comment(state: CameraState, captured_utc_s: float, name: Names) -> str:
    """What a frame says of itself; ``state``: what its camera shows with it."""
    told = {
        "ts": utc_stamp(captured_utc_s),
        "label": state.label,
        "name": name(state.label),
        "score": rounded(state.score),
        "top": top_payload(state.top[:_MAX_TOP], name),
        "box": box_payload(state.box),
    }
    return _PREFIX + encoded(told).decode("utf-8")


def read_burst_frame(payload: bytes) -> BurstFrame:
    """A frame and what it says. Raises ValueError for one that is not whole, or says nothing."""
    if len(payload) > MAX_FRAME_BYTES or not is_whole_jpeg(payload):
        raise ValueError(f"is not a whole JPEG of at most {MAX_FRAME_BYTES} bytes")
    comment = comment_of(payload) or ""
    if not comment.startswith(_PREFIX):
        raise ValueError("is no frame of a burst")
    found = decoded(comment.removeprefix(_PREFIX).encode("utf-8", "replace"), _MAX_COMMENT)
    label = line(found.get("label"), MAX_LABEL)
    listed, box = found.get("top"), read_box(found)
    return BurstFrame(
        payload,
        BurstMeta(
            ts=utc_datetime(found, "ts").isoformat(timespec="milliseconds"),
            label=label,
            name=line(found.get("name"), MAX_LABEL) or label,
            score=number_or_none(found, "score", 0, 1) or 0.0,
            top=[
                BurstRank(
                    label=line(one.get("label"), MAX_LABEL),
                    name=line(one.get("name"), MAX_LABEL),
                    score=number_or_none(one, "score", 0, 1) or 0.0,
                )
                for one in (listed if isinstance(listed, list) else [])[:_MAX_TOP]
                if isinstance(one, dict)
            ],
            box=BurstBox(left=box.left, top=box.top, width=box.width, height=box.height)
            if box
            else None,
        ),
    )
