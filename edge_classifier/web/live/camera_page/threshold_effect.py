"""How many events another threshold would have made, from the scores that were recorded."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.translation import gettext

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.web.models import Record

# Why a glimpse was none: what else lacked something did not lack a lower threshold.
_BELOW = "below_threshold"
# Of one camera.
_MOST_RECORDS = 3000
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Bars of the scores that were recorded.
BINS = 25


class RecordedScore(NamedTuple):
    """The best score of an event, or of a glimpse that a lower threshold would have made one."""

    at: datetime
    score: float
    is_event: bool


class ThresholdEffect(NamedTuple):
    """Events in some time: how many there were, and would have been."""

    there_were: int
    would_be: int
    # What scored less than the threshold was not recorded: a lower one makes more than is known.
    is_at_least: bool


def recorded_scores(device: str, camera: str) -> list[RecordedScore]:
    """Of the last day, the newest first; what a reviewer has rejected is none."""
    rows = (
        Record.objects.filter(camera__device=device, camera__name=camera)
        .filter(at__gte=timezone.now() - DAY)
        .filter(source__in=Record.CAMERA_SOURCES)
        .exclude(verdict=Record.Verdict.REJECTED)
        .exclude(label__name=UNKNOWN)
        .order_by("-at", "-id")
        .values_list("at", "score", "source", "detail__reason")[:_MOST_RECORDS]
    )
    return [
        RecordedScore(at, score, source == Record.Source.EVENT)
        for at, score, source, reason in rows
        if source == Record.Source.EVENT or reason == _BELOW
    ]


def effect(
    scores: Iterable[RecordedScore], enter: float, present: float, since: datetime
) -> ThresholdEffect:
    """What ``enter`` instead of the ``present`` threshold would have made of the time since then.

    A higher one takes away the events whose best score is below it; at most those stay that reach
    it, as the score of several frames is no higher than that of the best. A lower one adds labels
    that were glimpsed below the threshold; at least these, as lower scores were not recorded.
    """
    told = [one for one in scores if one.at >= since]
    events = sum(one.is_event for one in told)
    if enter < present:
        return ThresholdEffect(events, len(told), is_at_least=True)
    stay = sum(one.is_event and one.score >= enter for one in told)
    return ThresholdEffect(events, stay, is_at_least=False)


class HistogramBar(NamedTuple):
    """One bar in a drawing that is 1 high."""

    top: str
    high: str


def score_bars(scores: Iterable[RecordedScore]) -> list[HistogramBar | None]:
    """How many events had which best score, in ``BINS`` from 0 to 1; empty without any event."""
    found = [0] * BINS
    for one in scores:
        if one.is_event:
            found[min(BINS - 1, int(one.score * BINS))] += 1
    most = max(found)
    if not most:
        return []
    return [
        HistogramBar(f"{1 - count / most:.3f}", f"{count / most:.3f}") if count else None
        for count in found
    ]


def effect_text(scores: Sequence[RecordedScore], enter: float, present: float) -> str:
    """What ``enter`` would have made of the last hour and day, in a sentence."""
    if not scores:
        return gettext("Nothing was recorded in the last 24 hours that could be compared.")
    until = timezone.now()
    hour, day = (effect(scores, enter, present, until - span) for span in (HOUR, DAY))
    were = {"hour": hour.there_were, "day": day.there_were}
    if enter == present:
        return (
            gettext("Events with it: %(hour)s in the last hour, %(day)s in the last 24 hours.")
            % were
        )
    facts = {
        "hour_were": hour.there_were,
        "hour_would": hour.would_be,
        "day_were": day.there_were,
        "day_would": day.would_be,
    }
    if enter > present:
        return (
            gettext(
                "In the last hour this would have been at most %(hour_would)s events instead of"
                " %(hour_were)s, in the last 24 hours %(day_would)s instead of %(day_were)s."
            )
            % facts
        )
    return (
        gettext(
            "In the last hour this would have been at least %(hour_would)s events instead of"
            " %(hour_were)s, in the last 24 hours %(day_would)s instead of %(day_were)s. There may"
            " have been more: scores below the threshold are not recorded."
        )
        % facts
    )
