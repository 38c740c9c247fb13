"""The applications, as Django sees them."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class Web(AppConfig):
    """All models, templates and translations of the page."""

    name = "edge_classifier.web"
    label = "web"
    verbose_name = "edge-classifier"
    default_auto_field = "django.db.models.BigAutoField"


class Administration(AdminConfig):
    """Django's administration with the page's own login."""

    default_site = "edge_classifier.web.accounts.admin_site.PageAdminSite"
