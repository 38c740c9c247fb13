"""Labels and numbers in the reader's language."""

from django import template
from django.utils.translation import get_language, gettext

from edge_classifier.web.models import Label

register = template.Library()


@register.filter
def label_name(label: Label | None) -> str:
    """The label's Chinese name on a Chinese page, if it has one; else the label."""
    if label is None:
        return ""
    if label.name == Label.UNKNOWN:
        return gettext("unknown")
    return named(label.name, label.chinese)


def named(name: str, chinese: str) -> str:
    """Whichever of the two fits the language of the page."""
    is_chinese = (get_language() or "").startswith("zh")
    return chinese if is_chinese and chinese else name


@register.filter
def score(value: float | None) -> str:
    """``value`` with two digits after the point."""
    return "" if value is None else f"{value:.2f}"
