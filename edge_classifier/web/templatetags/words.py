"""Labels and numbers in the reader's language."""

from datetime import datetime

from django import template
from django.apps import apps
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext, pgettext, pgettext_lazy

from edge_classifier.web.models import Camera, Label

register = template.Library()
# Of a duration, the longest first.
_UNITS = (
    pgettext_lazy("duration", "%(days)s d"),
    pgettext_lazy("duration", "%(hours)s h"),
    pgettext_lazy("duration", "%(minutes)s min"),
    pgettext_lazy("duration", "%(seconds)s s"),
)


@register.filter
def label_name(label: Label | None) -> str:
    """The label's Chinese name on a Chinese page, if it has one; else the label."""
    return "" if label is None else named(label.name, label.chinese)


@register.filter
def other_name(label: Label) -> str:
    """Its name in the other language, if it has one."""
    shown = label_name(label)
    return next((one for one in (label.name, label.chinese) if one and one != shown), "")


def named(name: str, chinese: str) -> str:
    """Whichever of the two fits the language of the page; of "unknown" the page's own word."""
    if name == Label.UNKNOWN:
        return gettext("unknown")
    is_chinese = (get_language() or "").startswith("zh")
    return chinese if is_chinese and chinese else name


@register.filter
def camera_title(camera: Camera) -> str:
    """What people call a camera: ``Front door``; ``pi/front`` where nobody has said."""
    return title_of(camera.device, camera.name)


@register.simple_tag
def title_of(device: str, camera: str) -> str:
    """The same of a camera that need not be in the table."""
    live = apps.get_app_config("web").services.live
    title: str = live.title(device, camera) if live else camera
    return f"{device}/{camera}" if title == camera else title


@register.filter
def moment(at: datetime) -> str:
    """``14:03`` of today, ``28 Nov, 14:03`` of another day, in the language of the page."""
    local = timezone.localtime(at)
    if local.date() == timezone.localdate():
        return f"{local:%H:%M}"
    return date_format(local, pgettext("format of day and time", "j M, H:i"), use_l10n=False)


@register.filter
def score(value: float | None) -> str:
    """``value`` with two digits after the point."""
    return "" if value is None else f"{value:.2f}"


@register.filter
def duration(seconds: float) -> str:
    """``0.8 s``, ``12 s``, ``4 min 10 s``, ``2 h 5 min``, ``3 d 4 h``: two units at most."""
    if seconds < 9.95:
        return pgettext("duration", "%(seconds)s s") % {
            "seconds": f"{seconds:.1f}".removesuffix(".0")
        }
    whole = round(seconds)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    values = {"days": days, "hours": hour, "minutes": minute, "seconds": second}
    units = list(zip(_UNITS, values.values(), strict=True))
    first = next(number for number, (_, value) in enumerate(units) if value)
    return " ".join(str(unit) % values for unit, value in units[first : first + 2] if value)
