"""A rule as people fill it in to try it, and as it stands in web.toml."""

import re
from dataclasses import MISSING, fields
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from edge_classifier.config.toml import inline
from edge_classifier.core.quiet_hours import quiet_minutes
from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.models import Camera
from edge_classifier.web.records.filtering.moments import YEARS
from edge_classifier.web.templatetags.words import camera_title

# Typed with commas between.
_LISTS = ("labels", "hours")
# As many as a rule may name.
_MOST_CAMERAS = 200
WHEN = (
    ("first_ever", _("the first one ever")),
    ("rare", _("rare: on few of the 28 days before")),
    ("first_of_day", _("the first one of the day")),
)


def _list(text: Any, **options: Any) -> forms.CharField:
    return forms.CharField(label=text, required=False, max_length=1000, **options)


class RuleForm(forms.Form):
    """A rule, and the day that it is tried on."""

    name = forms.CharField(label=_("Name"), max_length=60, initial=_("birds"))
    labels = _list(_("Labels"), help_text=_("With commas between. Empty: all but unknown."))
    cameras = forms.MultipleChoiceField(
        label=_("Cameras"), required=False, help_text=_("None chosen: all of them.")
    )
    when = forms.MultipleChoiceField(
        label=_("Tell of"),
        required=False,
        choices=WHEN,
        initial=["first_of_day"],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("One of these is enough. None: each one is told."),
    )
    rare_days = forms.IntegerField(
        label=_("Rare: on fewer days than"), min_value=1, max_value=28, initial=3
    )
    kind = forms.ChoiceField(
        label=_("What"),
        choices=[("seen", _("Seen")), ("glimpsed", _("Glimpsed")), ("all", _("Both"))],
        initial="seen",
    )
    least_score = forms.FloatField(label=_("Score from"), min_value=0, max_value=1, initial=0)
    hours = _list(_("Hours"), help_text=_("Such as 06:00-22:00. Empty: always."))
    at_most_every_minutes = forms.FloatField(
        label=_("At most one message in so many minutes"), min_value=0, max_value=1440, initial=0
    )
    digest_at = forms.RegexField(
        r"^([01]\d|2[0-3]):[0-5]\d$",
        label=_("Or one a day at"),
        required=False,
        help_text=_("Such as 20:00. Empty: at once."),
    )
    day = forms.DateField(
        label=_("Try it on"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        validators=[
            MinValueValidator(date(YEARS[0], 1, 1)),
            MaxValueValidator(date(YEARS[-1], 12, 31)),
        ],
    )

    def __init__(self, data: MultiValueDict[str, str] | None = None) -> None:
        super().__init__(data, label_suffix="", initial={"day": yesterday()})
        named = data.getlist("cameras")[:_MOST_CAMERAS] if data else []
        known = {str(one): camera_title(one) for one in Camera.objects.all()[:_MOST_CAMERAS]}
        # All by their titles; then those that a rule names otherwise, as they stand there.
        others = {one: one for one in named if one not in known}
        self.fields["cameras"].choices = list({**known, **others}.items())

    def clean_hours(self) -> str:
        """Spans of time, as in the settings."""
        for span in _parts(self.cleaned_data["hours"]):
            try:
                begin, end = quiet_minutes(span)
            except ValueError:
                begin = end = 0
            if begin == end:
                raise ValidationError(_("Write a span such as 06:00-22:00."))
        return str(self.cleaned_data["hours"])

    def rule(self) -> NotificationRule:
        """The rule that is filled in. To be called when the form is valid."""
        given = {name: value for name, value in self.cleaned_data.items() if name != "day"}
        lists = {name: _parts(given[name]) for name in _LISTS}
        chosen = {name: tuple(given[name]) for name in ("cameras", "when")}
        return NotificationRule(**{**given, **lists, **chosen})

    def span(self) -> tuple[datetime, datetime]:
        """The day: its begin, and that of the next; of a digest, those at its time of day."""
        day, at = self.cleaned_data["day"], self.cleaned_data["digest_at"]
        begin = _moment(day, at) if at else _moment(day, "00:00")
        if at:
            return begin - timedelta(days=1), begin
        return begin, _moment(day + timedelta(days=1), "00:00")


def yesterday() -> date:
    """By the server's clock."""
    return timezone.localdate() - timedelta(days=1)


def as_query(rule: NotificationRule) -> str:
    """``rule`` as the form has it in an address, tried on yesterday."""
    given: dict[str, Any] = {}
    for name in RuleForm.base_fields:
        value: Any = getattr(rule, name, yesterday())
        given[name] = ", ".join(value) if name in _LISTS else value
    return urlencode(given, doseq=True)


def as_toml(rule: NotificationRule) -> str:
    """``rule`` as a table of web.toml, without what is as it is anyway."""
    lines = ["[[notify]]"]
    for field in fields(rule):
        value = getattr(rule, field.name)
        if field.default is MISSING or value != field.default:
            lines.append(f"{field.name} = {inline(value)}")
    return "\n".join(lines)


def _parts(text: str) -> tuple[str, ...]:
    # A Chinese comma, too.
    return tuple(filter(None, map(str.strip, re.split("[,\uff0c]", text))))


def _moment(day: date, at: str) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.fromisoformat(at)))
