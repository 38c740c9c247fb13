"""Records as templates show them."""

from dataclasses import dataclass
from typing import NamedTuple

from django.utils.translation import gettext, gettext_noop

from edge_classifier.web.models import Record
from edge_classifier.web.templatetags.words import label_name, named

_STEPS = (
    gettext_noop("decode"),
    gettext_noop("preprocess"),
    gettext_noop("inference"),
    gettext_noop("encode"),
)


class ScoreBar(NamedTuple):
    """One label with its score, as an attribute of HTML takes it."""

    name: str
    score: str


class CropOverlay(NamedTuple):
    """A rectangle in hundredths of a picture's width and height, as SVG takes it."""

    left: str
    top: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class DisplayedRecord:
    """One record with what is not in its columns."""

    record: Record
    bars: list[ScoreBar]
    # The part that the model saw; None where that is not known.
    crop: CropOverlay | None
    timings_ms: list[tuple[str, float]]


def shown(record: Record) -> DisplayedRecord:
    """``record``, whose ``label`` and ``picture`` have been read with it."""
    detail = record.detail
    return DisplayedRecord(record, _bars(record), _box(detail.get("crop")), _timings(record))


def _bars(record: Record) -> list[ScoreBar]:
    """All that was told; of an event that is its label only."""
    if not record.top:
        return [ScoreBar(label_name(record.label), f"{record.score:.2f}")]
    chinese = record.detail.get("chinese", {})
    return [
        ScoreBar(named(name, chinese.get(name, "")), f"{score:.2f}") for name, score in record.top
    ]


def _box(crop: list[float] | None) -> CropOverlay | None:
    if not crop:
        return None
    return CropOverlay(*(f"{100 * side:.3f}" for side in crop))


def _timings(record: Record) -> list[tuple[str, float]]:
    known = record.detail.get("timings_ms", {})
    return [(gettext(step), ms) for step, ms in known.items() if step in _STEPS]
