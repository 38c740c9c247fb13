"""The application, as Django sees it."""

from django.apps import AppConfig


class Web(AppConfig):
    """All models, templates and translations of the page."""

    name = "edge_classifier.web"
    label = "web"
    verbose_name = "edge-classifier"
    default_auto_field = "django.db.models.BigAutoField"
