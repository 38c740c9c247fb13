"""What every page shows, and what whoever asks may see of it."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from edge_classifier.web.accounts.roles import AccessLevel, access_level_of
from edge_classifier.web.django_settings import LANGUAGES


def template_context(request: HttpRequest) -> dict[str, Any]:
    """Name of the page, languages, and what whoever asks may see."""
    # What is refused for its host's name never gets as far as having a user.
    role = access_level_of(getattr(request, "user", AnonymousUser()))
    settings = request.services.settings
    return {
        "site_title": settings.title,
        "languages": LANGUAGES,
        "is_viewer": role >= AccessLevel.VIEWER,
        "is_reviewer": role >= AccessLevel.REVIEWER,
        "is_administrator": role >= AccessLevel.ADMINISTRATOR,
        "may_upload": role >= AccessLevel.VIEWER or settings.access.allow_anonymous_uploads,
    }
