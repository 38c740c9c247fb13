"""Records as small pictures that can be ticked, many on a page."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext

from edge_classifier.web.models import Record
from edge_classifier.web.records.display import address_of
from edge_classifier.web.templatetags.words import label_name, score


class Thumbnail(NamedTuple):
    """One of them."""

    key: UUID
    address: str
    # What it was taken for, and when it was taken.
    text: str
    score: str


def thumbnails(records: Iterable[Record]) -> dict[UUID, Thumbnail]:
    """Those of ``records``, of which ``key``, ``at``, ``score`` and the label are read, by key.

    Text, of which a page has hundreds: templates take their time with each address and sentence.
    """
    address, text = address_of("thumbnail"), gettext("%(label)s, %(time)s")
    zone = timezone.get_current_timezone()
    return {
        one.key: Thumbnail(
            one.key,
            address(one.key),
            text
            % {
                "label": label_name(one.label),
                "time": f"{one.at.astimezone(zone):%Y-%m-%d %H:%M}",
            },
            score(one.score),
        )
        for one in records
    }
