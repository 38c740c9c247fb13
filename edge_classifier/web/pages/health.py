"""Stub."""

from django.http import HttpRequest, HttpResponse


def page(request: HttpRequest, **kwargs: object) -> HttpResponse:
    """Stub."""
    return HttpResponse(status=501)
