"""The applications, as Django sees them, and the services that their views use."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

from edge_classifier.web.configuration import Folders
from edge_classifier.web.settings import WebSettings

if TYPE_CHECKING:  # Django reads this file before the tables, which these need.
    from edge_classifier.web.accounts.first_run import Invitation
    from edge_classifier.web.accounts.throttle import Throttle
    from edge_classifier.web.comparison.runner import ComparisonRunner
    from edge_classifier.web.installed_models.store import ModelStore
    from edge_classifier.web.live.cards import Cards
    from edge_classifier.web.live.live_view import LiveView
    from edge_classifier.web.maintenance.housekeeping import Housekeeping
    from edge_classifier.web.recorder.recorder import Recorder
    from edge_classifier.web.worker.client import PictureWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What views use besides the database. The server makes it; each request has it."""

    settings: WebSettings
    folders: Folders
    worker: "PictureWorker"
    models: "ModelStore"
    comparisons: "ComparisonRunner"
    throttle: "Throttle"
    invitation: "Invitation"
    live: "LiveView | None" = None
    # The drawn pieces of all live pages; there if ``live`` is.
    cards: "Cards | None" = None
    recorder: "Recorder | None" = None
    housekeeping: "Housekeeping | None" = None


class Web(AppConfig):
    """All models, templates and translations of the page."""

    name = "edge_classifier.web"
    label = "web"
    verbose_name = "edge-classifier"
    default_auto_field = "django.db.models.BigAutoField"
    # The server sets it before the first request; ``context.with_services`` reads it.
    services: Services


class Administration(AdminConfig):
    """Django's administration with the page's own login."""

    default_site = "edge_classifier.web.accounts.admin_site.PageAdminSite"
