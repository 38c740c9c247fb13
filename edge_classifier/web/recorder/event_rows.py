"""Rows of the table of records, as events make and complete them. No queries."""

from typing import Any
from uuid import UUID

from django.utils import timezone

from edge_classifier.mqtt.codec.event_messages import (
    CameraEventMessage,
    EndMessage,
    EventMessage,
    GlimpseMessage,
)
from edge_classifier.web.models import Record
from edge_classifier.web.recorder.received import RecordedEvent

_COMPLETED_BY_BEGINNING = ("before", "entry_score", "margin", "seq", "delay_ms")
_COMPLETED_BY_END = (
    *("entry_score", "score", "margin", "duration_s", "peak_after_s"),
    *("top", "label", "detail"),
)


def key_of(event: CameraEventMessage) -> UUID:
    """The key of the record that an event makes or completes."""
    return event.episode if isinstance(event, EndMessage) else event.key


def new_record(recorded: RecordedEvent, label_id: int, camera_id: int) -> Record:
    """The row that an event makes where there is none; an end makes it, too."""
    event = recorded.event
    found: dict[str, Any] = _path(event)
    if event.box:
        found["box"] = list(event.box)
    if isinstance(event, GlimpseMessage):
        found |= {"reason": event.reason, "needs_s": event.needs_s, "frames": event.frames}
    record = Record(
        key=key_of(event),
        source=Record.Source.EVENT,
        camera_id=camera_id,
        at=recorded.times.at,
        device_at=recorded.times.device_at,
        recorded_at=recorded.received_at,
        day=timezone.localdate(recorded.times.at),
        label_id=label_id,
        model=event.model,
        top=[list(ranked) for ranked in event.top],
        detail=found,
    )
    match event:
        case EventMessage():
            record.before, record.score, record.margin = event.before, event.score, event.margin
            record.seq, record.delay_ms = event.seq, event.delay_ms
        case GlimpseMessage():
            record.source = Record.Source.GLIMPSE
            record.seq, record.delay_ms = event.seq, event.delay_ms
            _set_span(record, event, 0.0, 0.0)
        case EndMessage():
            # Its own number and delay are not those of the beginning, which may still come.
            _set_span(record, event, 0.0, 0.0)
    return record


def complete(record: Record, recorded: RecordedEvent, label_id: int) -> tuple[str, ...]:
    """Put into ``record`` what the other half of its event says; the fields that are new.

    What is reviewed keeps its label.
    """
    event = recorded.event
    is_begun = record.duration_s is None or record.entry_score is not None
    if isinstance(event, EventMessage) and not is_begun:
        record.before, record.entry_score = event.before, event.score
        record.margin = max(record.margin, event.margin)
        record.seq, record.delay_ms = event.seq, event.delay_ms
        return _COMPLETED_BY_BEGINNING
    if isinstance(event, EndMessage) and record.duration_s is None:
        record.entry_score = record.score
        _set_span(record, event, record.score, record.margin)
        if event.top:
            record.top = [list(ranked) for ranked in event.top]
        if not record.verdict:
            record.label_id = label_id
            rest = {k: v for k, v in record.detail.items() if k not in ("path", "path_names")}
            record.detail = {**rest, **_path(event)}
        return _COMPLETED_BY_END
    return ()


def _set_span(
    record: Record, event: EndMessage | GlimpseMessage, score: float, margin: float
) -> None:
    """``score`` and ``margin``: those that it had in any case."""
    record.duration_s, record.peak_after_s = event.duration_s, event.peak_after_s
    record.score = max(score, event.peak_score)
    # All scores of a frame add up to 1, so the best one is ahead of any other by this at least.
    record.margin = max(margin, 2 * event.peak_score - 1)


def _path(event: CameraEventMessage) -> dict[str, Any]:
    """``path``, and ``path_names`` where they are others; nothing if the device does not tell.

    The names are for Chinese pages: Chinese, else in the device's language.
    """
    if event.path is None:
        return {}
    path, told = list(event.path), list(event.path_names)
    told = told if len(told) == len(path) else path
    names = [event.chinese.get(label, name) for label, name in zip(path, told, strict=True)]
    return {"path": path, **({"path_names": names} if names != path else {})}
