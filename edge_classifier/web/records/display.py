"""Records as templates show them."""

from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import QuerySet
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


def with_relations(records: QuerySet[Record]) -> QuerySet[Record]:
    """``records`` with all that a page shows of them, in one query."""
    return records.select_related("label", "picture", "camera", "owner", "truth", "reviewer")


def shown(record: Record) -> DisplayedRecord:
    """``record``, which was read by ``with_relations``."""
    chinese = record.detail.get("chinese", {})
    bars = [
        ScoreBar(named(name, chinese.get(name, "")), f"{score:.2f}") for name, score in record.top
    ]
    crop = record.detail.get("crop")
    timings = record.detail.get("timings_ms", {})
    return DisplayedRecord(
        record,
        # Events have their label only.
        bars or [ScoreBar(label_name(record.label), f"{record.score:.2f}")],
        CropOverlay(*(f"{100 * side:.3f}" for side in crop)) if crop else None,
        [(gettext(step), ms) for step, ms in timings.items() if step in _STEPS],
    )
