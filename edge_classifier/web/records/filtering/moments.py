"""A field for a day, or for a time."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from edge_classifier.web.records.filtering.choices import PlainInput

# A moment of another year is a slip; some have no day before or after.
YEARS = range(1971, 3000)


class DateTimeField(forms.CharField):
    """A day, or a time of one; in the server's time zone unless it names another."""

    def __init__(self, *, ends: bool, **options: Any) -> None:
        """``ends``: a day is meant to its end."""
        widget = PlainInput(attrs={"type": "datetime-local"})
        super().__init__(required=False, max_length=40, widget=widget, **options)
        self._ends = ends

    def to_python(self, value: object) -> datetime | None:
        """Raises ValidationError for what is not a time."""
        text = super().to_python(value)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            if found.year not in YEARS:
                raise ValueError(text)
            if self._ends and "T" not in text and " " not in text:
                found += timedelta(days=1)
            return found if found.tzinfo else timezone.make_aware(found)
        except ValueError as error:
            message = _("Write a day such as 2026-11-22, or a time such as 2026-11-22T14:30.")
            raise ValidationError(message, "invalid") from error

    def run_validators(self, value: Any) -> None:
        """Those of a text; a moment needs none."""
        if isinstance(value, str):
            super().run_validators(value)

    def prepare_value(self, value: Any) -> Any:
        """As the browser's own control wants it; what is wrong stays as it was written."""
        try:
            found = self.to_python(value)
        except ValidationError:
            return value
        if found is None:
            return ""
        local = timezone.make_naive(found).replace(microsecond=0)
        return local.isoformat(timespec="seconds" if local.second else "minutes")
