"""What every page knows."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from edge_classifier.web.accounts.roles import Role, role_of
from edge_classifier.web.django_settings import LANGUAGES
from edge_classifier.web.services import parts


def page(request: HttpRequest) -> dict[str, Any]:
    """Name of the page, languages, and what whoever asks may see."""
    # What is refused for its host's name never gets as far as having a user.
    role = role_of(getattr(request, "user", AnonymousUser()))
    settings = parts().settings
    return {
        "site_title": settings.title,
        "languages": LANGUAGES,
        "is_viewer": role >= Role.VIEWER,
        "is_reviewer": role >= Role.REVIEWER,
        "is_administrator": role >= Role.ADMINISTRATOR,
        "may_upload": role >= Role.VIEWER or settings.access.allow_anonymous_uploads,
    }
