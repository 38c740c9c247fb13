"""Records as templates show them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, gettext_noop, pgettext

from edge_classifier.web.models import Label, Record
from edge_classifier.web.templatetags.words import duration, label_name, named, title_of

_STEPS = (
    gettext_noop("decode"),
    gettext_noop("preprocess"),
    gettext_noop("inference"),
    gettext_noop("encode"),
)
# Around what is shown by itself, as a share of its width and height.
_MARGIN = 0.15
_BOX = (
    '<svg class="box" viewBox="{}" preserveAspectRatio="xMidYMid {}" aria-hidden="true">'
    '<rect x="{}" y="{}" width="{}" height="{}"/></svg>'
)
# Stands in an address where the key of a record belongs.
_ANY_KEY = UUID(int=0)


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


class BoxOverlay(NamedTuple):
    """A rectangle in pixels of its picture, as SVG takes it."""

    # Of the whole picture, and of the rectangle with a little around it: ``viewBox`` of SVG.
    whole: str
    close: str
    close_width: str
    close_height: str
    left: str
    top: str
    width: str
    height: str

    @property
    def svg_to_fit(self) -> SafeString:
        """The rectangle upon a picture that is shown as a whole."""
        return self._svg("meet")

    @property
    def svg_to_fill(self) -> SafeString:
        """The same upon one of which the edges are cut, so that it fills its room."""
        return self._svg("slice")

    def _svg(self, fit: str) -> SafeString:
        # Most cards have one: a template of its own took a twentieth of the time of a list.
        return format_html(_BOX, self.whole, fit, self.left, self.top, self.width, self.height)


@dataclass(frozen=True, slots=True)
class DisplayedRecord:
    """One record with what is not in its columns."""

    record: Record
    bars: list[ScoreBar]
    # The part that the model saw of an upload; None where that is not known.
    crop: CropOverlay | None
    # Where in a camera's picture it was looked at; None: everywhere, or not known.
    box: BoxOverlay | None
    timings_ms: list[tuple[str, float]]
    # From the root of a tree of labels to the one above the record's own.
    path: list[str]
    # What the camera showed before, in the reader's language.
    before: str
    # How long the label stayed, or that it still does; empty where nobody knows.
    stay: str
    # Of a glimpse: why it was not held.
    why_not: str


class Visit(NamedTuple):
    """A record as lists show it. Its fields are named as Django's lookups.

    Values and no model: a page has a hundred of them, and each model beside it takes its time.
    """

    id: int
    key: UUID
    at: datetime
    source: str
    camera_id: int | None
    camera__device: str | None
    camera__name: str | None
    owner_id: int | None
    owner__username: str | None
    label_id: int
    label__name: str
    label__chinese: str
    label__first_seen: datetime | None
    truth_id: int | None
    truth__name: str | None
    truth__chinese: str | None
    verdict: str
    score: float
    duration_s: float | None
    detail: dict[str, Any]
    picture_id: int | None
    picture__width: int | None
    picture__height: int | None
    device_at: datetime | None
    new_here: bool | None

    @property
    def predicted(self) -> str:
        """The label of the model, in the page's language."""
        return named(self.label__name, self.label__chinese)

    @property
    def name(self) -> str:
        """Likewise, of a reviewer where one has told it."""
        if self.truth__name is None:
            return self.predicted
        return named(self.truth__name, self.truth__chinese or "")

    @property
    def place(self) -> str:
        """Its camera; of what was uploaded, how and by whom."""
        if self.camera__device is not None and self.camera__name is not None:
            return title_of(self.camera__device, self.camera__name)
        source = str(Record.Source(self.source).label)
        return f"{source} · {self.owner__username}" if self.owner__username else source

    @property
    def score_text(self) -> str:
        """With two digits after the point."""
        return f"{self.score:.2f}"

    @property
    def verdict_text(self) -> str:
        """What a reviewer said, in words."""
        return str(Record.Verdict(self.verdict).label)

    @property
    def box_svg(self) -> SafeString:
        """Where in its picture it was looked at; empty: everywhere, or not known."""
        box = box_overlay(self.detail.get("box"), self.picture__width, self.picture__height)
        return box.svg_to_fill if box else SafeString()

    @property
    def why_not(self) -> str:
        """Of a glimpse: why it was not held."""
        is_glimpse = self.source == str(Record.Source.GLIMPSE)
        return _why_not(self.detail, self.duration_s) if is_glimpse else ""

    @property
    def has_no_end(self) -> bool:
        """Whether it may go on: its device would tell when it ends."""
        return _has_no_end(self.source, self.detail, self.duration_s, self.label__name)


def as_visits(records: QuerySet[Record]) -> list[Visit]:
    """What lists show of ``records``, in one query."""
    return [Visit._make(row) for row in records.values_list(*Visit._fields)]


def address_of(name: str, query: str = "") -> Callable[[UUID], str]:
    """The address called ``name`` of any record, by its key; looked for once for all."""
    before, _, after = reverse(name, args=[_ANY_KEY]).partition(str(_ANY_KEY))
    return lambda key: f"{before}{key}{after}{query}"


class Addresses:
    """Where each record of a list has its page and its thumbnail."""

    def __init__(self, query: str = "") -> None:
        """``query``: what stands behind the address of every page."""
        self.page = address_of("record", query)
        # Its picture, small.
        self.thumbnail = address_of("thumbnail")


def with_relations(records: QuerySet[Record]) -> QuerySet[Record]:
    """``records`` with all that a page shows of them, in one query."""
    return records.select_related("label", "picture", "camera", "owner", "truth", "reviewer")


def shown(record: Record) -> DisplayedRecord:
    """``record``, which was read by ``with_relations``."""
    return displayed([record])[0]


def displayed(records: Sequence[Record]) -> list[DisplayedRecord]:
    """The same of several, with two queries at most."""
    there = still_there(
        one.pk
        for one in records
        if _has_no_end(one.source, one.detail, one.duration_s, one.label.name)
    )
    chinese = _chinese(records)
    found = []
    for record in records:
        own = record.detail.get("chinese", {})
        bars = [
            ScoreBar(named(name, own.get(name) or chinese.get(name, "")), f"{score:.2f}")
            for name, score in record.top
        ]
        crop, box, picture = record.detail.get("crop"), record.detail.get("box"), record.picture
        timings = record.detail.get("timings_ms", {})
        above = _above(record)
        # In the device's language, where we do not know a Chinese name.
        told = record.detail.get("path_names", above)
        stay = "" if record.duration_s is None else duration(record.duration_s)
        is_glimpse = record.source == Record.Source.GLIMPSE
        found.append(
            DisplayedRecord(
                record,
                # Events of older devices have their label only.
                bars or [ScoreBar(label_name(record.label), f"{record.score:.2f}")],
                CropOverlay(*(f"{100 * side:.3f}" for side in crop)) if crop else None,
                box_overlay(box, picture.width, picture.height) if picture else None,
                [(gettext(step), ms) for step, ms in timings.items() if step in _STEPS],
                [named(a, chinese.get(a) or b) for a, b in zip(above, told, strict=False)],
                named(record.before, chinese.get(record.before, "")),
                pgettext("a label", "still there") if record.pk in there else stay,
                _why_not(record.detail, record.duration_s) if is_glimpse else "",
            )
        )
    return found


def _has_no_end(
    source: str, detail: Mapping[str, Any], duration_s: float | None, label: str
) -> bool:
    # Of an event whose device tells ends, as it tells the path of its label.
    is_told = source == str(Record.Source.EVENT) and "path" in detail
    return is_told and duration_s is None and label != Label.UNKNOWN


def still_there(without_end: Iterable[int]) -> set[int]:
    """Those of these ids whose label has not gone: their camera would have told of another."""
    ids = list(without_end)
    later = Record.objects.filter(
        camera=OuterRef("camera"), at__gt=OuterRef("at"), source=Record.Source.EVENT
    )
    newest = Record.objects.filter(~Exists(later), pk__in=ids)
    return set(newest.values_list("pk", flat=True)) if ids else set()


def _chinese(records: Iterable[Record]) -> dict[str, str]:
    """Chinese names of what is told beside labels, where they are wanted."""
    if not (get_language() or "").startswith("zh"):
        return {}
    names = {
        name for one in records for name in (one.before, *_above(one), *(top for top, _ in one.top))
    }
    known = Label.objects.filter(name__in=names).exclude(chinese="")
    return dict(known.values_list("name", "chinese")) if names else {}


def _above(record: Record) -> list[str]:
    return list(record.detail.get("path", ()))[:-1]


def _why_not(detail: Mapping[str, Any], duration_s: float | None) -> str:
    """Why a label that was glimpsed did not become the camera's."""
    reason, needs_s = detail.get("reason"), detail.get("needs_s")
    if reason == "dwell" and needs_s is not None:
        seen, needs = duration(duration_s or 0), duration(needs_s)
        return gettext("%(seen)s of the %(needs)s that it needs") % {"seen": seen, "needs": needs}
    if reason == "margin":
        return gettext("not far enough ahead of the next one")
    if reason == "below_threshold":
        return gettext("its score was below the threshold")
    return ""


def box_overlay(
    box: Sequence[float] | None, width: int | None, height: int | None
) -> BoxOverlay | None:
    """``box`` in shares of a picture of this size; None where either is not known."""
    if not box or not width or not height:
        return None
    left, top, wide, high = (
        share * side for share, side in zip(box, (width, height, width, height), strict=True)
    )
    x, y = max(0.0, left - _MARGIN * wide), max(0.0, top - _MARGIN * high)
    right = min(width, left + (1 + _MARGIN) * wide)
    bottom = min(height, top + (1 + _MARGIN) * high)
    return BoxOverlay(
        f"0 0 {width} {height}",
        f"{x:.1f} {y:.1f} {right - x:.1f} {bottom - y:.1f}",
        *(f"{one:.1f}" for one in (right - x, bottom - y, left, top, wide, high)),
    )
