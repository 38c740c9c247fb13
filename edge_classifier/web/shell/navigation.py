"""The ways to all pages, and the theme: what ``base.html`` shows on every page."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from edge_classifier.web.accounts.roles import AccessLevel

_THEME_COOKIE = "theme"
# Without one of these the page is as the system is.
_THEMES = ("light", "dark")
# By the name of their address, which is that of their icon, too.
_PAGES: tuple[tuple[str, Promise, AccessLevel], ...] = (
    ("live", _("Live"), AccessLevel.VIEWER),
    ("history", _("History"), AccessLevel.VIEWER),
    ("review", _("Review"), AccessLevel.REVIEWER),
    ("lessons", _("Teach"), AccessLevel.REVIEWER),
    ("models", _("Models"), AccessLevel.VIEWER),
    ("classify", _("Classify"), AccessLevel.VISITOR),
    ("notify", _("Notifications"), AccessLevel.ADMINISTRATOR),
    ("accounts", _("Accounts"), AccessLevel.ADMINISTRATOR),
)
# Pages without an entry of their own, by whose they are.
_ALSO = {"models": ("rollouts",)}


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A link to a page."""

    name: str
    title: Promise
    address: str
    # For ``aria-current``: ``page``, ``true`` on a page below it, or empty.
    current: str


def entries(path: str, role: AccessLevel) -> list[NavigationEntry]:
    """The pages that ``role`` may see, for whoever is at ``path``."""
    found = []
    for name, title, least in _PAGES:
        if role >= least:
            address = reverse(name)
            also = [reverse(other) for other in _ALSO.get(name, ())]
            is_below = path in also or path.startswith(tuple(f"{one}/" for one in (address, *also)))
            current = "page" if path == address else "true" if is_below else ""
            found.append(NavigationEntry(name, title, address, current))
    return found


def theme_of(request: HttpRequest) -> str:
    """``light`` or ``dark``, if whoever asks has chosen it; else empty."""
    theme = request.COOKIES.get(_THEME_COOKIE, "")
    return theme if theme in _THEMES else ""


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep a theme, or forget it, and go back to where one was."""
    place = request.POST.get("next", "")
    is_here = url_has_allowed_host_and_scheme(place, request.get_host(), request.is_secure())
    # Not `redirect`, which takes any text without a slash for the name of a view.
    response = HttpResponseRedirect(place if is_here else reverse("first"))
    theme = request.POST.get("theme", "")
    if theme not in _THEMES:
        response.delete_cookie(_THEME_COOKIE, samesite=settings.LANGUAGE_COOKIE_SAMESITE)
        return response
    response.set_cookie(
        _THEME_COOKIE,
        theme,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite=settings.LANGUAGE_COOKIE_SAMESITE,
    )
    return response
