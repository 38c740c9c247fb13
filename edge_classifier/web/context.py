"""What every request has: the services of this process, and what every page shows."""

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse

from edge_classifier.web.accounts.roles import Role, role_of
from edge_classifier.web.django_settings import LANGUAGES


def with_services(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that gives each request ``services``: the ``Services`` of the server."""
    web = apps.get_app_config("web")

    def middleware(request: HttpRequest) -> HttpResponse:
        request.services = web.services
        return get_response(request)

    return middleware


def template_context(request: HttpRequest) -> dict[str, Any]:
    """Name of the page, languages, and what whoever asks may see."""
    # What is refused for its host's name never gets as far as having a user.
    role = role_of(getattr(request, "user", AnonymousUser()))
    settings = request.services.settings
    return {
        "site_title": settings.title,
        "languages": LANGUAGES,
        "is_viewer": role >= Role.VIEWER,
        "is_reviewer": role >= Role.REVIEWER,
        "is_administrator": role >= Role.ADMINISTRATOR,
        "may_upload": role >= Role.VIEWER or settings.access.allow_anonymous_uploads,
    }
