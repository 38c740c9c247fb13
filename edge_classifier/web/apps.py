"""The applications, as Django sees them."""

from typing import TYPE_CHECKING, Any

import axes.apps
from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

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

    def ready(self) -> None:
        """Keep the tally where a migration has made the table of records anew."""
        post_migrate.connect(_install_tally, sender=self)
        connection_created.connect(_prefer_indexes)


def _install_tally(**_: Any) -> None:
    from edge_classifier.web.tally import upkeep  # It needs the tables, which come after this file.

    upkeep.install()


def _prefer_indexes(connection: Any, **_: Any) -> None:
    """Let PostgreSQL plan for what it has today: a cache, or a disk without moving parts.

    Its own setting takes four times as long for a page out of order, and so it reads a large part
    of a table for a page of a list. Compiling a query takes longer than any of ours. Both not as
    ``options`` of the connection, which poolers refuse.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET random_page_cost = 1.1; SET jit = off")


class Logins(axes.apps.AppConfig):
    """django-axes, by a name that says what it has."""

    verbose_name = _("Logins")


class Administration(AdminConfig):
    """Django's administration with the page's own login."""

    default_site = "edge_classifier.web.accounts.admin_site.PageAdminSite"
