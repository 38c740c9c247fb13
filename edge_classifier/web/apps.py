"""The applications, as Django sees them."""

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

if TYPE_CHECKING:  # Django reads this file before the tables, which the services need.
    from edge_classifier.web.services import Services


class Web(AppConfig):
    """All models, templates and translations of the page."""

    name = "edge_classifier.web"
    label = "web"
    verbose_name = "edge-classifier"
    default_auto_field = "django.db.models.BigAutoField"
    # The server sets it before the first request; ``services.with_services`` reads it.
    services: "Services"


class Administration(AdminConfig):
    """Django's administration with the page's own login."""

    default_site = "edge_classifier.web.accounts.admin_site.PageAdminSite"
