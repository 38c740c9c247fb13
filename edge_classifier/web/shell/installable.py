"""What makes the page an app on a phone's home screen: its manifest, and a page for no network."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_safe

from edge_classifier import __version__

# The colour that icons begin with; that of ``--accent`` in page.css.
_BRAND = "#0b6e4f"
_ICONS = (
    ("icon-192.png", 192, "any"),
    ("icon-512.png", 512, "any"),
    ("icon-maskable-512.png", 512, "maskable"),
)


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """The web app manifest: name, icons, and where it starts."""
    title = request.services.settings.title
    first = reverse("first")
    content = {
        "id": first,
        "name": title,
        "short_name": title,
        "lang": get_language(),
        "start_url": first,
        "scope": first,
        "display": "standalone",
        "background_color": _BRAND,
        "theme_color": _BRAND,
        "icons": [
            {
                "src": static(f"web/{name}"),
                "sizes": f"{side}x{side}",
                "type": "image/png",
                "purpose": purpose,
            }
            for name, side, purpose in _ICONS
        ],
    }
    return JsonResponse(content, content_type="application/manifest+json")


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """The service worker, at the top so that all pages are in its scope."""
    context = {"version": __version__}
    response = render(request, "service_worker.js", context, content_type="text/javascript")
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """What is shown while the page cannot be reached: in both languages, as it is kept for long."""
    return render(request, "offline.html")
