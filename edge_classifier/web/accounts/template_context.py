"""What every page shows, and what whoever asks may see of it."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from edge_classifier.web.accounts.first_run import administrator_exists
from edge_classifier.web.accounts.roles import SWITCHES_MODELS, AccessLevel, access_level_of
from edge_classifier.web.django_settings import LANGUAGES
from edge_classifier.web.shell.navigation import entries, theme_of


def template_context(request: HttpRequest) -> dict[str, Any]:
    """Name of the page, languages, ways to other pages, theme, and what whoever asks may see."""
    # What is refused for its host's name never gets as far as having a user.
    role = access_level_of(getattr(request, "user", AnonymousUser()))
    settings = request.services.settings
    return {
        "site_title": settings.title,
        "languages": LANGUAGES,
        "navigation": entries(request.path, role),
        "theme": theme_of(request),
        "is_viewer": role >= AccessLevel.VIEWER,
        "is_reviewer": role >= AccessLevel.REVIEWER,
        "is_administrator": role >= AccessLevel.ADMINISTRATOR,
        "may_switch_models": role >= SWITCHES_MODELS,
        # Called where a template asks for it.
        "lacks_administrator": lambda: not administrator_exists(),
        "may_upload": role >= AccessLevel.VIEWER or settings.access.allow_anonymous_uploads,
    }
