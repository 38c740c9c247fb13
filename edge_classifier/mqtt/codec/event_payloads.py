"""What a camera's events say, as they are written; ``event_messages`` reads them. Pure."""

from typing import Any

from edge_classifier.core.events import (
    CameraEvent,
    LabelChange,
    LabelEnd,
    LabelGlimpse,
    Moment,
)
from edge_classifier.files import utc_stamp
from edge_classifier.mqtt.codec.camera_payloads import (
    NO_TRANSLATIONS,
    Names,
    Translations,
    box_payload,
    path_payload,
    rounded,
    top_payload,
    translations_payload,
)
from edge_classifier.mqtt.codec.json_fields import (
    decoded,
    encoded,
)

LABEL_CHANGED, LABEL_ENDED, LABEL_GLIMPSED = "label_changed", "label_ended", "label_glimpsed"
# In the order in which a label may have them.
EVENT_TYPES = LABEL_CHANGED, LABEL_ENDED, LABEL_GLIMPSED
DELAY = "capture_to_publish_ms"


def event_payload(
    event: CameraEvent, name: Names, translations: Translations = NO_TRANSLATIONS
) -> dict[str, Any]:
    """One event, as it waits; what is known only when it leaves comes with ``with_delay``.

    ``name``: in the device's language.
    """
    # The event's type, and what only events of this type have.
    own: dict[str, Any]
    match event:
        case LabelChange():
            kind, said = LABEL_CHANGED, event.after
            own = {
                "from": event.before,
                "to": event.after,
                "from_name": name(event.before),
                "to_name": name(event.after),
                "score": rounded(event.score),
                "margin": rounded(event.margin),
                "ts": utc_stamp(event.captured.utc),
            }
        case LabelEnd():
            kind, said = LABEL_ENDED, event.label
            own = {"episode": event.episode, **_span_fields(event, name)}
        case LabelGlimpse():
            kind, said = LABEL_GLIMPSED, event.label
            own = {
                **_span_fields(event, name),
                "frames": event.frames,
                "reason": event.reason,
                "needs_s": round(event.needs_s, 3),
            }
        case _:
            raise TypeError(f"{type(event).__name__} is no event that can be sent")
    told = (said, *event.path, *(label for label, _ in event.top))
    names = translations_payload(told, translations)
    return {
        "event_type": kind,
        "id": event.id,
        "camera": event.camera,
        "seq": event.seq,
        **own,
        **path_payload(event.path, name),
        "top": top_payload(event.top, name),
        **({"names": names} if names else {}),
        "model": event.model,
        "box": box_payload(event.box),
    }


def _span_fields(event: LabelEnd | LabelGlimpse, name: Names) -> dict[str, Any]:
    return {
        "label": event.label,
        "label_name": name(event.label),
        "started": utc_stamp(event.started),
        "ts": utc_stamp(event.ended),
        "duration_s": round(event.duration_s, 3),
        "peak_score": rounded(event.peak_score),
        "peak_ts": utc_stamp(event.peak_at),
    }


def with_delay(payload: bytes, delay_ms: float) -> bytes:
    """An event's payload with the milliseconds between its frame's capture and now.

    Raises ValueError for what is not the payload of an event.
    """
    return encoded({**decoded(payload), DELAY: delay_ms})


def delay_ms(captured: Moment, now: Moment, *, same_boot: bool) -> float:
    """Milliseconds between two moments, to one digit.

    The monotonic clock begins anew with each boot; the other one may have been set in between, but
    is all there is then.
    """
    passed_s = now.monotonic - captured.monotonic if same_boot else now.utc - captured.utc
    return max(0.0, round(1000 * passed_s, 1))
