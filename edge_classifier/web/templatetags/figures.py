"""Shares as percentages."""

from django import template

register = template.Library()


@register.filter
def percent(share: float | None) -> str:
    """``83.3 %`` of 0.833; a dash of nothing."""
    return "-" if share is None else f"{100 * share:.1f} %"
