"""Verdicts of reviewers, and the queue of records that wait for one."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from edge_classifier.core.labels import UNKNOWN_NAMES
from edge_classifier.core.text import is_printable
from edge_classifier.errors import UsageError
from edge_classifier.web.models import Label, Record, User

# Labels that one key each chooses: those of 1 to 9.
MOST_CHOICES = 9
CONFIRMED, CORRECTED, REJECTED = (
    str(verdict)
    for verdict in (Record.Verdict.CONFIRMED, Record.Verdict.CORRECTED, Record.Verdict.REJECTED)
)
_LONGEST = Label._meta.get_field("name").max_length
_UNKNOWNS = frozenset(UNKNOWN_NAMES.values())


def judge(record: Record, verdict: str, truth: str | None, reviewer: User) -> Record:
    """Store the verdict of ``reviewer`` on ``record``; ``""`` takes it back.

    A corrected record needs ``truth``, the name of a label, which is made if there is none; where
    that is the predicted one, the record is confirmed. Raises UsageError for anything else.
    """
    if verdict not in Record.Verdict.values:
        raise UsageError("verdict", _("%(word)r is not a verdict") % {"word": verdict})
    label = _label_called(truth or "") if verdict == CORRECTED else None
    if label and label.pk == record.label_id:
        verdict = CONFIRMED
    record.verdict = verdict
    record.truth = record.label if verdict == CONFIRMED else label
    record.reviewer = reviewer if verdict else None
    record.reviewed_at = timezone.now() if verdict else None
    record.save(update_fields=["verdict", "truth", "reviewer", "reviewed_at"])
    return record


@transaction.atomic
def judge_all(records: Iterable[Record], verdict: str, truth: str | None, reviewer: User) -> int:
    """Store one verdict on all of them, or on none; return how many. Raises UsageError."""
    return len([judge(record, verdict, truth, reviewer) for record in records])


def clean_label(text: str) -> str:
    """A label's name as it is kept. Raises UsageError for what is none."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise UsageError("truth", _("the true label is missing"))
    if not is_printable(name):
        raise UsageError("truth", _("the label has characters that cannot be printed"))
    if len(name) > _LONGEST:
        problem = _("the label has %(length)d characters; %(most)d are allowed")
        raise UsageError("truth", problem % {"length": len(name), "most": _LONGEST})
    return Label.UNKNOWN if name.casefold() in _UNKNOWNS else name


def _label_called(text: str) -> Label:
    """The label that ``text`` means: by its name, in any case, or its Chinese name; else new."""
    name = clean_label(text)
    found = Label.objects.filter(Q(name__iexact=name) | Q(chinese=name))
    exact = sorted(found, key=lambda label: (label.name != name, label.chinese == name, label.pk))
    return exact[0] if exact else Label.objects.get_or_create(name=name)[0]


def queue(
    records: QuerySet[Record],
    *,
    camera: str = "",
    label: str = "",
    source: str = "",
    surest_first: bool = False,
) -> QuerySet[Record]:
    """Those of ``records`` that have a picture and no verdict, the most uncertain ones first.

    ``camera`` is the number of one, ``label`` a name, ``source`` one of ``Record.Source``; empty:
    any.
    """
    wait = records.filter(verdict=Record.Verdict.NONE, picture__isnull=False)
    if camera:
        wait = wait.filter(camera=camera) if camera.isdecimal() else wait.none()
    if label:
        wait = wait.filter(label__name=label)
    if source:
        wait = wait.filter(source=source)
    order = ("-margin", "-id") if surest_first else ("margin", "id")
    return wait.select_related("label", "camera", "picture").order_by(*order)


def queue_after(wait: QuerySet[Record], record: Record) -> QuerySet[Record]:
    """Those that come after ``record`` in the order of the queue."""
    # The first condition alone lets the index on margins begin at the right place.
    later = Q(margin__gt=record.margin) | Q(id__gt=record.pk)
    return wait.filter(Q(margin__gte=record.margin), later)


class Choice(NamedTuple):
    """A label that one key or button chooses."""

    name: str
    chinese: str
    # None: the model did not tell.
    score: float | None


def choices(records: Sequence[Record]) -> list[list[Choice]]:
    """For each record what it may show: the model's best labels, then those most used."""
    counts = Record.objects.filter(truth__isnull=False).order_by().values("truth")
    most_used = counts.annotate(times=Count("pk")).order_by("-times", "truth")[:MOST_CHOICES]
    truths = Label.objects.in_bulk([row["truth"] for row in most_used])
    used = {(label := truths[row["truth"]]).name: label.chinese for row in most_used}
    # The model's best labels, the predicted one first in any case.
    tops = [{record.label.name: record.score, **dict(record.top)} for record in records]
    missing = {name for top in tops for name in top} - used.keys()
    named = Label.objects.filter(name__in=missing).values_list("name", "chinese")
    chinese = {**used, **dict(named)}
    return [
        [
            Choice(name, chinese.get(name) or told.get(name, ""), top.get(name))
            for name in list(dict.fromkeys([*top, *used]))[:MOST_CHOICES]
        ]
        for top, told in zip(tops, (one.detail.get("chinese", {}) for one in records), strict=True)
    ]


def reviewed_today(reviewer: User) -> int:
    """How many records ``reviewer`` has judged since midnight."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return int(Record.objects.filter(reviewer=reviewer, reviewed_at__gte=midnight).count())


def count_up_to(wait: QuerySet[Record], most: int) -> int:
    """How many wait; counting ends at ``most``, as nobody needs to know exactly."""
    return int(wait.order_by().values("pk")[:most].count())
