"""Why a notification was not sent, in the reader's language."""

from django import template
from django.utils.translation import gettext

from edge_classifier.web.notify.sending import PROBLEMS

register = template.Library()


@register.filter
def problem_text(problem: str) -> str:
    """A word of ``PROBLEMS`` in words for people."""
    return gettext(PROBLEMS.get(problem, problem))
