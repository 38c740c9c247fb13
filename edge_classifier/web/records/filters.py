"""Which records are meant: read from an address, applied to a query."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.db.models.lookups import In
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Camera, Label, Record

# More are not counted: it would take its time, and nobody reads that many.
COUNT_LIMIT = 2_000
_FEW = 100
# Names that a field offers at once; more are found by typing.
MOST_OFFERED = 200
_YEARS = range(1971, 3000)
_REVIEWS: Mapping[str, Q] = {
    "no": Q(verdict=Record.Verdict.NONE),
    "yes": ~Q(verdict=Record.Verdict.NONE),
    **{
        str(verdict): Q(verdict=verdict)
        for verdict in (
            Record.Verdict.CONFIRMED,
            Record.Verdict.CORRECTED,
            Record.Verdict.REJECTED,
        )
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions that all hold; None and "" are none."""

    # Ids of cameras.
    cameras: tuple[int, ...] | None = None
    # Ids of labels, one of which the record has, as predicted or as corrected.
    labels: tuple[int, ...] | None = None
    source: str = ""
    # ``yes``, ``no``, or a verdict.
    review: str = ""
    score_min: float | None = None
    score_max: float | None = None
    since: datetime | None = None
    # The first moment that does not belong to it.
    until: datetime | None = None

    @classmethod
    def parse(cls, params: Mapping[str, str]) -> "Filter":
        """The filter in an address's parameters; others are ignored.

        Raises UsageError, which tells all that is wrong.
        """
        form = FilterForm(params)
        if form.is_valid():
            return form.filter()
        wrong = (f"{name}: {text}" for name, texts in form.errors.items() for text in texts)
        problem = " ".join(wrong).replace("__all__: ", "")
        raise UsageError("filter", problem, "docs/web.md has the names and values.")

    def apply(self, records: QuerySet[Record], *, is_frequent: bool = False) -> QuerySet[Record]:
        """Those of ``records`` that are meant.

        ``is_frequent``: they are so many that looking for each by its label is a detour.
        """
        return records.filter(*self._conditions(is_frequent))

    def find(self, records: QuerySet[Record]) -> tuple[QuerySet[Record], int]:
        """Those of ``records`` that are meant, as they are found the quickest; and how many.

        Above ``COUNT_LIMIT`` the number is one more. A few are found again by their ids: no index
        has every condition in it.
        """
        found = self.apply(records)
        ids = list(found.order_by().values_list("id", flat=True)[: _FEW + 1])
        if len(ids) <= _FEW:
            return Record.objects.filter(id__in=ids), len(ids)
        count = found.order_by().values("id")[: COUNT_LIMIT + 1].count()
        return self.apply(records, is_frequent=count > COUNT_LIMIT), count

    def _conditions(self, is_frequent: bool) -> Iterator[Q]:
        if self.cameras is not None:
            yield Q(camera_id__in=self.cameras)
        if self.labels is not None:
            # There is no index of an expression: the order of time, or of days, is followed.
            truth = In(Coalesce("truth_id", 0), self.labels)
            either = Q(truth) if is_frequent else Q(truth_id__in=self.labels)
            yield Q(label_id__in=self.labels) | either
        if self.source:
            yield Q(source=self.source)
        if self.review:
            yield _REVIEWS[self.review]
        for field, bound in (
            ("score__gte", self.score_min),
            ("score__lte", self.score_max),
            ("at__gte", self.since),
            ("at__lt", self.until),
        ):
            if bound is not None:
                yield Q(**{field: bound})


class DateTimeField(forms.CharField):
    """A day, or a time of one; in the server's time zone unless it names another."""

    def __init__(self, *, ends: bool, **options: Any) -> None:
        """``ends``: a day is meant to its end."""
        widget = forms.TextInput(attrs={"type": "datetime-local"})
        super().__init__(required=False, max_length=40, widget=widget, **options)
        self._ends = ends

    def to_python(self, value: object) -> datetime | None:
        """Raises ValidationError for what is not a time."""
        text = super().to_python(value)
        try:
            return self._moment(text) if text else None
        except ValueError as error:
            message = _("Write a day such as 2026-11-22, or a time such as 2026-11-22T14:30.")
            raise ValidationError(message, "invalid") from error

    def _moment(self, text: str) -> datetime:
        found = datetime.fromisoformat(text)
        if found.year not in _YEARS:
            raise ValueError(text)
        if self._ends and "T" not in text and " " not in text:
            found += timedelta(days=1)
        return found if found.tzinfo else timezone.make_aware(found)

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


def names_like(field: str, text: str, most: int) -> list[tuple[str, str]]:
    """Names of devices, cameras or labels that contain ``text``; at most ``most``.

    Each with what is shown beside it: of labels the Chinese name.
    """
    if field == "label":
        # Unasked, those that were seen; others were only chosen by a reviewer.
        like = Q(name__icontains=text) | Q(chinese__icontains=text)
        found = Label.objects.filter(like if text else ~Q(first_seen=None))
        return list(found.order_by("name").values_list("name", "chinese")[:most])
    column = "device" if field == "device" else "name"
    like = Q(**{f"{column}__icontains": text}) if text else Q()
    columns = Camera.objects.filter(like).order_by(column).values_list(column, flat=True)
    return [(name, name) for name in columns.distinct()[:most]]


def _score(text: Any) -> forms.FloatField:
    widget = forms.NumberInput(attrs={"step": "any", "min": 0, "max": 1, "inputmode": "decimal"})
    return forms.FloatField(label=text, required=False, min_value=0, max_value=1, widget=widget)


class FilterForm(forms.Form):
    """The filter as people fill it in, and as addresses carry it."""

    device = forms.CharField(label=_("Device"), required=False, max_length=64)
    camera = forms.CharField(label=_("Camera"), required=False, max_length=64)
    label = forms.CharField(
        label=_("Label"),
        required=False,
        max_length=200,
    )
    source = forms.ChoiceField(
        label=_("Source"), required=False, choices=[("", _("all")), *Record.Source.choices]
    )
    review = forms.ChoiceField(
        label=_("Review"),
        required=False,
        choices=[
            ("", _("all")),
            ("no", _("not reviewed")),
            ("yes", _("reviewed")),
            *((value, text) for value, text in Record.Verdict.choices if value),
        ],
    )
    score_min = _score(_("Score from"))
    score_max = _score(_("Score to"))
    since = DateTimeField(label=_("From"), ends=False)
    until = DateTimeField(label=_("Until"), ends=True)

    def __init__(self, params: Mapping[str, str]) -> None:
        super().__init__(params, label_suffix="")

    def offer_names(self) -> list[str]:
        """Let people choose from the names there are; of many, those that fit what they type.

        Returns the fields that are typed into, whose input has a list of its name and an ``s``.
        """
        typed = []
        for field in ("device", "camera", "label"):
            names = names_like(field, "", MOST_OFFERED + 1)
            if field != "label" and len(names) <= MOST_OFFERED:
                choices = [("", _("all")), *names]
                self.fields[field].widget = forms.Select(choices=choices)
                continue
            attributes = {"list": f"{field}s", "autocomplete": "off"}
            if len(names) > MOST_OFFERED:
                attributes["data-search"] = f"{reverse('history-names')}?field={field}&text="
            self.fields[field].widget = forms.TextInput(attributes)
            typed.append(field)
        return typed

    def clean_device(self) -> str:
        """A device that there is, or none."""
        name = str(self.cleaned_data["device"])
        if name and not Camera.objects.filter(device=name).exists():
            raise ValidationError(_("No device has the name “%(name)s”."), params={"name": name})
        return name

    def clean_camera(self) -> str:
        """A camera that there is, or none."""
        name = str(self.cleaned_data["camera"])
        if name and not Camera.objects.filter(name=name).exists():
            raise ValidationError(_("No camera has the name “%(name)s”."), params={"name": name})
        return name

    def clean_label(self) -> tuple[int, ...] | None:
        """Ids of the labels of this name, in either language, in capitals or not."""
        if not (name := self.cleaned_data["label"]):
            return None
        if name == gettext("unknown"):
            name = Label.UNKNOWN
        named = Label.objects.filter(Q(name__iexact=name) | Q(chinese__iexact=name))
        if ids := tuple(named.values_list("id", flat=True)):
            return ids
        raise ValidationError(_("No label has the name “%(name)s”."), params={"name": name})

    def clean(self) -> dict[str, Any]:
        """Ranges begin before they end."""
        found = super().clean()
        for first, last, text in (
            ("score_min", "score_max", _("The lowest score is above the highest one.")),
            ("since", "until", _("The beginning is after the end.")),
        ):
            low, high = found.get(first), found.get(last)
            if low is not None and high is not None and low > high:
                self.add_error(first, text)
        return found

    def filter(self) -> Filter:
        """What was asked for. To be called when the form is valid."""
        given = dict(self.cleaned_data)
        device, camera = given.pop("device"), given.pop("camera")
        cameras = None
        if device or camera:
            meant = {"device": device, "name": camera}
            chosen = Camera.objects.filter(**{key: name for key, name in meant.items() if name})
            cameras = tuple(chosen.values_list("id", flat=True))
        return Filter(cameras=cameras, labels=given.pop("label"), **given)

    def given(self) -> list[tuple[str, str]]:
        """Names and values as they were written; what is empty is left out."""
        return [(name, value) for name in self.fields if (value := self.data.get(name))]

    def query(self) -> str:
        """The same as part of an address."""
        return urlencode(self.given())
