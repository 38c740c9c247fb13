"""Verdicts of reviewers, and the queue of records that wait for one."""

import unicodedata
from collections.abc import Iterable

from django.db import transaction
from django.db.models import IntegerField, Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _

from edge_classifier.core.labels.labels import UNKNOWN_NAMES
from edge_classifier.core.text import is_printable
from edge_classifier.errors import UsageError
from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records.filtering.unindexed import sifted, without_index
from edge_classifier.web.tally import counts

CONFIRMED, CORRECTED, NOTHING = (
    str(verdict)
    for verdict in (Record.Verdict.CONFIRMED, Record.Verdict.CORRECTED, Record.Verdict.NOTHING)
)
_LONGEST = Label._meta.get_field("name").max_length
_UNKNOWNS = frozenset(UNKNOWN_NAMES.values())


@transaction.atomic
def judge(
    record: Record, verdict: str, truth: str | None, reviewer: User, shown: str | None = None
) -> Record:
    """Store the verdict of ``reviewer`` on ``record``; ``""`` takes it back.

    A corrected record needs ``truth``, the name of a label, which is made if there is none; where
    that is the predicted one, the record is confirmed. Where there is nothing, the true label is
    ``Label.UNKNOWN``. ``shown``: the label that was confirmed, where the record may have got a more
    specific one since. Raises UsageError for anything else.
    """
    if verdict not in Record.Verdict.values:
        raise UsageError("verdict", _("%(word)r is not a verdict") % {"word": verdict})
    if verdict == CONFIRMED and shown and shown != record.label.name:
        verdict, truth = CORRECTED, shown
    label = None
    if verdict == NOTHING:
        label = _label_called(Label.UNKNOWN)
    elif verdict == CORRECTED:
        label = _label_called(truth or "")
        if label.pk == record.label_id:
            verdict = CONFIRMED
    before = record.counts_as
    record.verdict = verdict
    record.truth = record.label if verdict == CONFIRMED else label
    record.reviewer = reviewer if verdict else None
    record.reviewed_at = timezone.now() if verdict else None
    # Not `save`, which fails for one that has just been deleted, by somebody or for its age.
    is_there = Record.objects.filter(pk=record.pk).update(
        verdict=verdict,
        truth=record.truth,
        reviewer=record.reviewer,
        reviewed_at=record.reviewed_at,
    )
    if is_there:
        _follow_first_seen(record, before)
    return record


def _follow_first_seen(record: Record, before: int | None) -> None:
    """Let labels be first seen when they were, now that ``record`` counts as another one.

    ``before`` is as which it counted.
    """
    if before == record.counts_as or record.source == Record.Source.GLIMPSE:
        return
    if record.counts_as:
        later = Q(first_seen=None) | Q(first_seen__gt=record.at)
        Label.objects.filter(later, pk=record.counts_as).update(first_seen=record.at)
    # One that was seen earlier stays as it is: the record of that may be deleted.
    if before and Label.objects.filter(pk=before, first_seen=record.at).exists():
        Label.objects.filter(pk=before).update(first_seen=counts.first_seen(before))


@transaction.atomic
def judge_all(
    records: Iterable[Record],
    verdict: str,
    truth: str | None,
    reviewer: User,
    shown: str | None = None,
) -> int:
    """Store one verdict on all of them, or on none; return how many. As ``judge``."""
    return len([judge(record, verdict, truth, reviewer, shown) for record in records])


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
    is_by_id: bool = False,
) -> QuerySet[Record]:
    """Those of ``records`` that have a picture and no verdict, the most uncertain ones first.

    ``camera`` is the number of one, ``label`` a name, ``source`` one of ``Record.Source``; empty:
    any, but for glimpses. ``is_by_id``: few are looked for whose ids or pictures are known, and
    not in the order of an index.
    """
    wait = records.filter(verdict=Record.Verdict.NONE, picture__isnull=False)
    if camera and not camera.isdecimal():
        return wait.none()
    asked = Q(camera_id=camera) if camera else Q()
    if label:
        # By its number: of one that a query is to find, PostgreSQL cannot tell how many wait.
        known = Label.objects.filter(name=label).values_list("id", flat=True).first()
        asked &= Q(label_id=known or 0)
    asked &= Q(source=source) if source else ~Q(source=Record.Source.GLIMPSE)
    if source and source != str(Record.Source.EVENT):
        # SQLite uses the index of what are no events only where a query says that they are none.
        asked &= ~Q(source=Record.Source.EVENT)
    wait = sifted(wait, without_index(asked) if is_by_id else asked)
    order = ("-margin", "-id") if surest_first else ("margin", "id")
    return wait.select_related("label", "camera", "picture").order_by(*order)


def queue_after(wait: QuerySet[Record], margin: float, pk: int) -> QuerySet[Record]:
    """Those that come after the record of this margin and id in the order of the queue."""
    # The first condition alone lets the index on margins begin at the right place.
    return wait.filter(Q(margin__gte=margin), Q(margin__gt=margin) | Q(id__gt=pk))


def progress(wait: QuerySet[Record], reviewer: User, most: int) -> tuple[int, int]:
    """How many wait, and how many records ``reviewer`` has judged since midnight. One query.

    Counting of those that wait ends at ``most``, as nobody needs to know exactly.
    """
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    judged = Record.objects.filter(reviewer=reviewer, reviewed_at__gte=midnight).values("pk")
    counts_of = User.objects.filter(pk=reviewer.pk).values_list(
        _RowCount(wait.order_by().values("pk")[:most]), _RowCount(judged)
    )
    return counts_of.first() or (0, 0)


class _RowCount(Subquery):
    """How many rows a query finds."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()
    # Django asks the database nothing of a query that finds nothing for sure.
    empty_result_set_value = 0
