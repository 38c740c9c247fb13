"""The table of comparisons: one row for each model that was measured."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class Comparison(models.Model):
    """How well one model did on the reviewed pictures of one moment."""

    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    model = models.CharField(_("model"), max_length=200)
    pictures = models.PositiveIntegerField(_("pictures"))
    hits = models.PositiveIntegerField(_("right"))
    # What `edge-classify evaluate --json` said.
    result = models.JSONField(default=dict, editable=False)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.model
