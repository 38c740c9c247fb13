"""Django's administration: who may come in, and what it is called."""

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from edge_classifier.web.accounts.roles import Role, role_of


class PageAdminSite(AdminSite):
    """For administrators: others are refused as everywhere else, and nobody has a second login."""

    site_header = site_title = _("Administration")
    index_title = _("Records, people and labels")
    site_url = "/"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether to answer. Raises PermissionDenied for whom logging in would not help."""
        if role_of(request.user) >= Role.ADMINISTRATOR:
            return True
        if request.user.is_authenticated:
            raise PermissionDenied
        return False

    def login(self, request: HttpRequest, *_: object) -> HttpResponse:
        """The page's own login, which is throttled and knows both languages."""
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
