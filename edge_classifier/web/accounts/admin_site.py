"""Django's administration with this page's roles, login and titles."""

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext_lazy as _

from edge_classifier.web.accounts.roles import AccessLevel, access_level_of


class PageAdminSite(AdminSite):
    """For administrators only, with the login that all other pages have."""

    site_header = site_title = _("Administration")
    index_title = _("Records, people and labels")
    site_url = reverse_lazy("first")
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this is an administrator. Raises PermissionDenied for other users."""
        if access_level_of(request.user) >= AccessLevel.ADMINISTRATOR:
            return True
        if request.user.is_authenticated:
            raise PermissionDenied
        return False

    def login(self, request: HttpRequest, *_: object) -> HttpResponse:
        """The page's own login, which is throttled and knows both languages."""
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
