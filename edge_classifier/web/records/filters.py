"""Which records are meant: read from an address, applied to a query."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.db.models.lookups import In
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Camera, DayTally, Label, LabelDayTally, Record, User
from edge_classifier.web.records.filtering.among import Among
from edge_classifier.web.records.filtering.choices import PlainInput, PlainSelect, choice
from edge_classifier.web.records.filtering.moments import DateTimeField
from edge_classifier.web.records.filtering.names import MOST_OFFERED, cameras_called, names_like
from edge_classifier.web.records.filtering.unindexed import sifted, without_index
from edge_classifier.web.records.keyset import Field, Parts
from edge_classifier.web.tally.counts import Days, counted_as, visible_to
from edge_classifier.web.templatetags.words import title_of

# More are not counted: it would take its time, and nobody reads that many.
COUNT_LIMIT = 2_000
# Labels, or cameras, that are looked for one by one.
_MOST_PARTS = 8
# Records of some scores that are looked at for other conditions.
_MOST_READ = 8_000
# Days of the tally that are added up for all labels; on which labels are looked for at cameras.
_MOST_DAYS, _MOST_LISTED, _DAY = 14, 400, timedelta(days=1)
# The error of a label that there is not.
NO_SUCH_LABEL = "no_such_label"
# Sources that a filter names; what cameras glimpse is theirs, too, and of another kind.
SOURCES = tuple(one for one in Record.Source.choices if one[0] != Record.Source.GLIMPSE)
KINDS = (("", _("Seen")), ("glimpsed", _("Glimpsed")), ("all", _("Both")))
_GLIMPSED = Q(source=Record.Source.GLIMPSE)
# SQLite uses an index of what are no events only where a query says that they are none.
_NO_EVENT = ~Q(source=Record.Source.EVENT)
_KINDS: Mapping[str, Q] = {"": ~_GLIMPSED, "glimpsed": _GLIMPSED & _NO_EVENT, "all": Q()}
_REJECTED = Q(verdict=Record.Verdict.REJECTED)
# Likewise, of what is judged.
_JUDGED = ~Q(verdict=Record.Verdict.NONE)
# What was rejected is found only by whoever asks for it.
_REVIEWS: Mapping[str, Q] = {
    "": ~_REJECTED,
    "any": Q(),
    "no": Q(verdict=Record.Verdict.NONE),
    "yes": _JUDGED & ~_REJECTED,
    **{value: Q(verdict=value) & _JUDGED for value in Record.Verdict.values if value},
}


def _given(**conditions: Any) -> dict[str, Any]:
    return {name: value for name, value in conditions.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions that all hold; None and "" are none."""

    # Empty: what was seen; ``glimpsed``, or ``all``.
    kind: str = ""
    # Ids of cameras.
    cameras: tuple[int, ...] | None = None
    # Ids of labels, as one of which it counts: by a reviewer, else by the model.
    labels: tuple[int, ...] | None = None
    source: str = ""
    # ``yes``, ``no``, or a verdict; ``any``: also what was rejected.
    review: str = ""
    # ``yes``: what was unlike all that its camera had shown; empty: that or not.
    new: str = ""
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
        problem = " ".join(wrong).replace("__all__: ", "").rstrip(".。")
        raise UsageError("filter", problem, "docs/web.md has the names and values.")

    def apply(self, records: QuerySet[Record]) -> QuerySet[Record]:
        """Those of ``records`` that are meant."""
        found = records.filter(self._rest())
        return found if self.labels is None else found.filter(counted_as(self.labels))

    def find(
        self, records: QuerySet[Record], field: Field = "at", sums: Days | None = None
    ) -> tuple[Parts, int]:
        """Those of ``records`` that are meant, as pages of their list are found; and how many.

        ``sums``: of the same records, where they are known. Above ``COUNT_LIMIT`` the number is
        one more. Fewer are found again by their ids: no index has every condition in it.
        """
        if sums is not None and self.is_in_tally:
            # Of whole days that are meant; of all labels, which have many, of the last ones.
            begin = timezone.localtime(self.since) if self.since else None
            end = timezone.localdate(self.until) if self.until else None
            first = begin.date() + _DAY * (begin.time() != time.min) if begin else date.min
            if self.labels is None:
                first = max(first, (end or timezone.localdate()) - _MOST_DAYS * _DAY)
            few = sums.filter(**_given(day__gte=first, day__lt=end))
            if (few.aggregate(total=Sum("count"))["total"] or 0) > COUNT_LIMIT:
                return self.parts(records, field), COUNT_LIMIT + 1
            if None not in (self.labels, self.cameras) and begin is end is None:
                # Of a camera that hardly saw it, neither index would tell that soon.
                found = sums.filter(count__gt=0).order_by().values_list("day", flat=True).distinct()
                days = list(found[: _MOST_LISTED + 1])
                if len(days) <= _MOST_LISTED:
                    records = records.filter(day__in=days)
        ids = self._first_ids(records)
        if len(ids) <= COUNT_LIMIT:
            return [Record.objects.filter(Among(F("id"), ids))], len(ids)
        return self.parts(records, field), len(ids)

    def rows_if_few(self, records: QuerySet[Record], *columns: str) -> list[Any] | None:
        """``columns`` of those of ``records`` that are meant; None: more than ``COUNT_LIMIT``."""
        # Of many that there are too many is known from an index alone.
        ids = self._first_ids(records)
        if len(ids) > COUNT_LIMIT:
            return None
        return list(Record.objects.filter(Among(F("id"), ids)).order_by().values_list(*columns))

    def _first_ids(self, records: QuerySet[Record]) -> list[int]:
        """Of those that are meant: of all, or of one more than ``COUNT_LIMIT``."""
        best = self._best_index()
        if self.labels is not None and len(self.labels) > _MOST_PARTS:
            parts: Parts = [self.apply(records)]
        elif self.labels is not None:
            parts = self._of_labels(records, self.labels, best)
        else:
            rest = without_index(self._rest(), but=best) if best else self._rest()
            parts = [sifted(records, rest)]
        ids: list[int] = []
        for part in parts:
            found = part.order_by().values_list("id", flat=True)
            ids += found[: COUNT_LIMIT + 1 - len(ids)]
        return ids

    def _best_index(self) -> str:
        """The column whose index has the fewest of these records; empty: it is not known."""
        if self.new:
            return "new_here"
        if self.review in Record.Verdict.values and self.review:
            return "verdict"
        if self.score_min is None and self.score_max is None:
            return ""
        named = Q() if self.cameras is None else Q(camera__in=self.cameras)
        if self.labels is not None:
            named &= Q(label__in=self.labels)
        some = Record.objects.filter(named).order_by().values("id")[:_MOST_READ]
        return "score" if not named or int(some.count()) == _MOST_READ else ""

    def parts(self, records: QuerySet[Record], field: Field = "at") -> Parts:
        """Those of ``records`` that are meant, without counting them first.

        Each part is read in the order of an index: it is the only one that SQLite may take, which
        knows nothing of how many records there are of a kind, and would rather sort very many.
        """
        if self.labels is not None and (field == "score" or len(self.labels) > _MOST_PARTS):
            # There is no index of an expression: the order of the list is followed.
            counted = In(Coalesce("truth_id", "label_id"), self.labels)
            return [sifted(records, without_index(self._rest(), but=field)).filter(counted)]
        if field == "score":
            return [sifted(records, without_index(self._rest(), but="score"))]
        if self.labels is not None:
            return self._of_labels(records, self.labels)
        rest = without_index(self._rest(with_cameras=False), of="score")
        if self.cameras is not None and len(self.cameras) <= _MOST_PARTS:
            return [sifted(records, rest, Q(camera=camera)) for camera in self.cameras]
        if self.cameras is not None:
            rest &= Q(camera__in=self.cameras)
        return [sifted(records, rest)]

    def _of_labels(
        self, records: QuerySet[Record], labels: Collection[int], best: str = ""
    ) -> Parts:
        """Those that count as one of ``labels``: of each the predicted, and those told by people.

        Only those that there can be: a verdict has a true label, but for a rejection. ``best``: the
        column whose index is taken, and not that of the label.
        """
        rest = without_index(self._rest(), but=best or "at")
        has_truth = self.review not in ("no", str(Record.Verdict.REJECTED))
        is_predicted = self.review in ("", "any") or not has_truth
        parts: list[QuerySet[Record]] = []
        for label in labels if is_predicted else ():
            predicted = Q(truth=None, label_id=label)
            if best:
                predicted = without_index(predicted, of="label_id")
            parts.append(sifted(records, rest, predicted))
        if has_truth:
            told = without_index(self._rest(), but="new_here" if self.new else "at")
            for label in labels:
                corrected = Q(truth_id=label)
                if self.new:
                    corrected = without_index(corrected, of="truth_id")
                parts.append(sifted(records, told, corrected))
        return parts

    def _rest(self, *, with_cameras: bool = True) -> Q:
        """All conditions but that of labels."""
        bounds = _given(
            score__gte=self.score_min,
            score__lte=self.score_max,
            at__gte=self.since,
            at__lt=self.until,
            new_here=True if self.new else None,
        )
        return self._of_sums(with_cameras=with_cameras) & Q(**bounds)

    def _of_sums(self, *, with_cameras: bool = True) -> Q:
        """Conditions on what records and the tally both have, but for labels."""
        found = _KINDS[self.kind] & _REVIEWS[self.review]
        if self.cameras is not None and with_cameras:
            found &= Q(camera_id__in=self.cameras)
        if self.source == str(Record.Source.EVENT):
            found &= Q(source__in=Record.CAMERA_SOURCES)
        elif self.source:
            found &= Q(source=self.source) & _NO_EVENT
        return found

    @property
    def is_in_tally(self) -> bool:
        """Whether the tally tells these records from others, but for their time."""
        return not self.new and self.score_min is None and self.score_max is None

    def sums(self, user: User) -> Days:
        """Sums of what is meant, of all times, where ``is_in_tally``; of what ``user`` may see."""
        table = LabelDayTally if self.cameras is None else DayTally
        found = visible_to(user, table.objects.filter(self._of_sums()))
        return found if self.labels is None else found.filter(label__in=self.labels)


def _score(text: Any) -> forms.FloatField:
    widget = PlainInput(
        {"type": "number", "step": "any", "min": 0, "max": 1, "inputmode": "decimal"}
    )
    return forms.FloatField(label=text, required=False, min_value=0, max_value=1, widget=widget)


def _typed(field: str, **attributes: str) -> PlainInput:
    """Where a name is typed; a script offers those that fit."""
    search = f"{reverse('history-names')}?field={field}&text="
    return PlainInput({"autocomplete": "off", "data-search": search, **attributes})


class FilterForm(forms.Form):
    """The filter as people fill it in, and as addresses carry it."""

    # Chosen by links beside the form.
    kind = forms.ChoiceField(required=False, choices=KINDS, widget=forms.HiddenInput)
    device = forms.CharField(label=_("Device"), required=False, max_length=64)
    camera = forms.CharField(label=_("Camera"), required=False, max_length=64)
    label = forms.CharField(label=_("Label"), required=False, max_length=200)
    source = choice(_("Source"), [("", _("all")), *SOURCES])
    review = choice(
        _("Review"),
        [
            ("", _("all")),
            ("no", _("not reviewed")),
            ("yes", _("reviewed")),
            ("any", _("all, also rejected")),
            *((value, text) for value, text in Record.Verdict.choices if value),
        ],
    )
    new = choice(_("New here"), [("", _("all")), ("yes", _("unlike all before at its camera"))])
    score_min = _score(_("Score from"))
    score_max = _score(_("Score to"))
    since = DateTimeField(label=_("From"), ends=False)
    until = DateTimeField(label=_("Until"), ends=True)
    order = choice(
        _("Order"), [("", _("the newest first")), ("score", _("the highest score first"))]
    )

    def __init__(self, params: Mapping[str, str]) -> None:
        super().__init__(params, label_suffix="")
        # By field: what is offered, which need not be looked for again.
        self._offered: dict[str, dict[str, str]] = {}

    def offer_names(self) -> None:
        """Let people choose from the devices and cameras there are.

        Of many of them, and of labels, they type a part of the name.
        """
        label = {"type": "search", "placeholder": gettext("What was seen?")}
        self.fields["label"].widget = _typed("label", **label)
        cameras = names_like("camera", "", MOST_OFFERED + 1)
        if len(cameras) > MOST_OFFERED:
            devices = names_like("device", "", MOST_OFFERED + 1)
        else:
            devices = [(name, name) for name in {place.split("/")[0]: 0 for place, _ in cameras}]
        for field, names in (("device", devices), ("camera", cameras)):
            self._offered[field] = dict(names)
            choices = [("", _("all")), *names]
            # What is asked for may be written in another way.
            if (given := self.data.get(field, "")) and given not in self._offered[field]:
                choices.append((given, given))
            is_short = len(names) <= MOST_OFFERED
            self.fields[field].widget = PlainSelect(choices=choices) if is_short else _typed(field)

    def clean_device(self) -> str:
        """A device that there is, or none."""
        name = str(self.cleaned_data["device"])
        is_known = name in self._offered.get("device", ())
        if name and not is_known and not Camera.objects.filter(device=name).exists():
            raise ValidationError(_("No device has the name “%(name)s”."), params={"name": name})
        return name

    def clean_camera(self) -> QuerySet[Camera] | None:
        """Cameras that there are, or None: all."""
        if not (name := str(self.cleaned_data["camera"])):
            return None
        found = cameras_called(name)
        if found.query.is_empty():
            raise ValidationError(_("No camera has the name “%(name)s”."), params={"name": name})
        return found

    def clean_label(self) -> tuple[int, ...] | None:
        """Ids of the labels that are shown by this name, in capitals or not.

        Where the page's language has none, of those that have it in another.
        """
        if not (name := self.cleaned_data["label"]):
            return None
        if name == gettext("unknown"):
            name = Label.UNKNOWN
        by_name, by_chinese = Q(name__iexact=name), Q(chinese__iexact=name)
        is_chinese = (get_language() or "").startswith("zh")
        shown = by_chinese | (Q(chinese="") & by_name) if is_chinese else by_name
        for meant in (shown, by_name | by_chinese):
            if ids := tuple(Label.objects.filter(meant).values_list("id", flat=True)):
                return ids
        text = _("No label has the name “%(name)s”.")
        raise ValidationError(text, NO_SUCH_LABEL, params={"name": name})

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
        # Not what is meant, but how it is shown.
        given.pop("order")
        device, camera = given.pop("device"), given.pop("camera")
        cameras = None
        if device or camera is not None:
            chosen = Camera.objects.all() if camera is None else camera
            of_device = {"device": device} if device else {}
            cameras = tuple(chosen.filter(**of_device).values_list("id", flat=True))
        return Filter(cameras=cameras, labels=given.pop("label"), **given)

    def shown(self, name: str) -> str:
        """What was written in a field, in words."""
        given = str(self.data.get(name, ""))
        if name == "camera" and "/" in given:
            return title_of(*given.split("/", 1))
        choices = dict(getattr(self.fields[name].widget, "choices", ()))
        return str(choices.get(given, given))

    def given(self) -> list[tuple[str, str]]:
        """Names and values as they were written; what is empty is left out."""
        return [(name, value) for name in self.fields if (value := self.data.get(name))]

    @property
    def narrows(self) -> bool:
        """Whether it leaves out something of a kind."""
        return any(name not in ("kind", "order") for name, _value in self.given())

    def query(self) -> str:
        """The same as part of an address."""
        return urlencode(self.given())
