"""Messages in words, with their picture: made when they are sent, of what is on record then."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_noop, ngettext, override

from edge_classifier.errors import StorageError
from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.models import Record
from edge_classifier.web.notify.outbox import OLDEST
from edge_classifier.web.notify.past import counting
from edge_classifier.web.notify.tables import Notification
from edge_classifier.web.records import picture_storage
from edge_classifier.web.templatetags.words import camera_title, label_name

_log = logging.getLogger(__name__)
# Sightings that have a line each, and labels in a title.
_MOST_LINES, _MOST_LABELS = 30, 3
REASONS = {
    "first_ever": gettext_noop("first ever"),
    "first_of_day": gettext_noop("first today"),
    "rare": gettext_noop("rare here"),
}


@dataclass(frozen=True, slots=True)
class MessageContent:
    """What is sent."""

    title: str
    body: str
    # A JPEG.
    picture: bytes | None


def compose(
    notification: Notification,
    rule: NotificationRule,
    site_title: str,
    public_address: str,
    now: datetime,
) -> MessageContent | None:
    """What ``notification`` says; None: there is nothing left that it could tell of.

    Records that were deleted meanwhile, or that a reviewer has found wrong, are left out; and what
    is no news any more, as the network was away and other things have come meanwhile.
    """
    public_address = public_address.rstrip("/")
    with override(rule.language):
        if notification.kind == Notification.Kind.TEST:
            title = gettext("A test of “%(rule)s”") % {"rule": rule.name}
            body = gettext("Notifications of this rule come here.")
            lines = [body, public_address and public_address + reverse("notify")]
            return MessageContent(_line(title, site_title), "\n".join(filter(None, lines)), None)
        reasons = dict(notification.records.values_list("key", "reason"))
        records = counting(Record.objects.filter(key__in=reasons)).order_by("at", "id")
        if notification.kind == Notification.Kind.SIGHTINGS:
            longest = OLDEST + timedelta(minutes=rule.at_most_every_minutes)
            records = records.filter(recorded_at__gt=now - longest)
        told = list(records.select_related("label", "camera", "picture"))
        if not told:
            return None
        best = max((one for one in told if one.picture), key=lambda one: one.score, default=None)
        picture = _picture(best) if best else None
        if len(told) == 1 and not notification.more:
            record = told[0]
            why = reasons[record.key]
            title = _line(label_name(record.label), gettext(REASONS[why]) if why else "")
            lines = [
                _line(_time(record), camera_title(record.camera), _score(record), _glimpsed(record))
            ]
            if public_address:
                lines.append(public_address + reverse("record", args=[record.key]))
            return MessageContent(title, "\n".join(lines), picture)
        lines = [_sighting(one, reasons[one.key]) for one in told[:_MOST_LINES]]
        if (more := len(told) - len(lines) + notification.more) > 0:
            lines.append(gettext("and %(count)s more") % {"count": more})
        if public_address:
            first, last = timezone.localtime(told[0].at), timezone.localtime(told[-1].at)
            since, until = (
                f"{at:%Y-%m-%dT%H:%M:%S}" for at in (first, last + timedelta(seconds=1))
            )
            span = urlencode({"since": since, "until": until})
            lines.append(f"{public_address}{reverse('history')}?{span}")
        count = len(told) + notification.more
        text = ngettext("%(count)s sighting", "%(count)s sightings", count) % {"count": count}
        labels = list(dict.fromkeys(label_name(one.label) for one in told))
        named = ", ".join(labels[:_MOST_LABELS]) + (" …" if len(labels) > _MOST_LABELS else "")
        return MessageContent(_line(rule.name, f"{text}: {named}"), "\n".join(lines), picture)


def _sighting(record: Record, why: str) -> str:
    reason = gettext(REASONS[why]) if why else ""
    name = f"{_time(record)} {label_name(record.label)}"
    return _line(name, camera_title(record.camera), _score(record), reason, _glimpsed(record))


def _time(record: Record) -> str:
    """Always said: a message may come late, and is not to be taken for news."""
    local = timezone.localtime(record.at)
    is_today = local.date() == timezone.localdate()
    return date_format(local, "H:i" if is_today else "Y-m-d H:i")


def _score(record: Record) -> str:
    return f"{100 * record.score:.0f} %"


def _glimpsed(record: Record) -> str:
    return gettext("glimpsed") if record.source == Record.Source.GLIMPSE else ""


def _line(*parts: str) -> str:
    """On one line, whatever names of labels have in them."""
    return " ".join(" · ".join(filter(None, parts)).split())


def _picture(record: Record) -> bytes | None:
    """None where there is none to be read just now: the message is worth more than its picture."""
    try:
        return picture_storage.read(picture_storage.picture_name(record.picture.sha256))
    except FileNotFoundError:
        return None
    except StorageError as error:
        _log.warning("a notification goes without its picture: %s", error)
        return None
