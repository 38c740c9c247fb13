"""Which other labels one key or button chooses for a record."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import Q

from edge_classifier.web.models import Label, Record, User

# Labels that one key each chooses: those of 1 to 9.
MOST_CHOICES = 9
# Verdicts of a reviewer that tell which labels they use.
_LATELY = 300
# Up to this margin a model may be right about the kind and wrong about which of it.
_UNSURE = 0.3
# From the top of a tree down to a label: with fewer names, the one above says next to nothing.
_DEEP = 3


class Choice(NamedTuple):
    """A label that one key or button chooses."""

    name: str
    chinese: str
    # None: the model did not tell.
    score: float | None


def choices(records: Sequence[Record], reviewer: User) -> list[list[Choice]]:
    """For each record what it may show other than what it was taken for.

    First what the model thought of next, then what stands above its label in the model's tree if it
    was unsure, then what ``reviewer`` has said lately, of pictures of the same camera first.
    """
    # By the index ``record_reviewed`` alone; any other condition or table would mislead PostgreSQL.
    judged = Record.objects.filter(reviewer=reviewer).order_by("-reviewed_at")
    given = list(judged.values_list("camera", "truth")[:_LATELY])
    told = {name for one in records for name in (*dict(one.top), *one.detail.get("path", ()))}
    meant = Q(pk__in={truth for _, truth in given if truth}) | Q(name__in=told)
    labels = list(Label.objects.filter(meant).values_list("pk", "name", "chinese"))
    names, chinese = {pk: name for pk, name, _ in labels}, {name: own for _, name, own in labels}
    lately = [(camera, names[truth]) for camera, truth in given if truth in names]
    anywhere = Counter(name for _, name in lately)
    found = []
    for record in records:
        own, path = record.label.name, record.detail.get("path", ())
        scores: dict[str, float | None] = {name: score for name, score in record.top if score > 0}
        is_deep = len(path) >= _DEEP and path[-1] == own and record.margin < _UNSURE
        above = path[-2:-1] if is_deep else ()
        here = Counter(name for camera, name in lately if camera == record.camera_id)
        used = [name for counted in (here, anywhere) for name, _ in counted.most_common()]
        # Other names above its own say less than it does, however often they were said of others.
        # Nor is "unknown" worth a key: that there is nothing is a verdict.
        useless = {own, Label.UNKNOWN} | set(path[:-1]).difference(scores, above)
        order = [name for name in dict.fromkeys([*scores, *above, *used]) if name not in useless]
        of_device = record.detail.get("chinese", {})
        found.append(
            [
                Choice(name, chinese.get(name) or of_device.get(name, ""), scores.get(name))
                for name in order[:MOST_CHOICES]
            ]
        )
    return found
