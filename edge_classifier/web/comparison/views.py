"""Models side by side on reviewed pictures."""

from contextlib import suppress
from typing import NamedTuple

from django.contrib import messages
from django.db.models.fields.json import KT
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from edge_classifier.core.sentence import from_json
from edge_classifier.errors import UnavailableError
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.installed_models.uploaded_report import UploadedReport
from edge_classifier.web.models import Comparison, Record
from edge_classifier.web.review import datasets
from edge_classifier.web.templatetags.words import named
from edge_classifier.web.wording import in_sentences

_AT_ONCE = 6
_LISTED = 30
_SHADES = 4


class Cell(NamedTuple):
    """How often one label was taken for one other."""

    times: int
    style: str


class ComparisonRow(NamedTuple):
    """One true label of a confusion matrix."""

    label: str
    cells: list[Cell]


class Mistake(NamedTuple):
    """One picture that a model was wrong about."""

    key: str
    truth: str
    predicted: str
    score: float


class DisplayedComparison(NamedTuple):
    """One model's part of the page."""

    comparison: Comparison
    error: str
    report: UploadedReport | None
    columns: list[str]
    rows: list[ComparisonRow]
    mistakes: list[Mistake]
    pairs: list[tuple[str, str, int]]


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def compare(request: HttpRequest) -> HttpResponse:
    """Start a comparison, follow it, and see what came of it and of earlier ones."""
    services = request.services
    if request.method == "POST":
        _start(request)
        return redirect("review-compare")
    # The newest first, without what is large in them.
    facts = {"run": KT("result__run"), "error": KT("result__error"), "since": KT("result__since")}
    known = Comparison.objects.defer("result").annotate(**facts).order_by("-created_at", "-pk")
    listed = list(known[:_LISTED])
    # Those that were ticked; else the newest, with those that were made together with it.
    ticked = [key for key in request.GET.getlist("show") if key.isdecimal() and len(key) < 12]
    keys = ticked[:_AT_ONCE] or [one.pk for one in listed if one.run == listed[0].run]
    shown = [_shown(one) for one in Comparison.objects.filter(pk__in=keys).order_by("pk")]
    # Labels whose pictures were left out: how many these were, and which models lack them.
    left_out: dict[str, tuple[int, str]] = {}
    for one in shown:
        own = one.comparison.model.partition("@")[0]
        # Older results name no models.
        for label, pictures, *lacking in one.comparison.result.get("left_out", ()):
            left_out[label] = (pictures, ", ".join(*lacking or [[]]) or own)
    context = {
        "view": "compare",
        "progress": services.comparisons.progress,
        "problem": in_sentences(services.comparisons.problem),
        "models": services.models.installed(),
        "current": services.models.current(),
        "listed": listed,
        "shown": shown,
        # What was measured together was measured on the same pictures.
        "is_one_run": len({one.comparison.result.get("run") for one in shown}) < 2,
        "left_out": [(label, *facts) for label, facts in left_out.items()],
    }
    return render(request, "comparison/compare.html", context)


def _start(request: HttpRequest) -> None:
    """Start what the form asks for, or say on the next page why not."""
    services, names = request.services, set(request.POST.getlist("model"))
    chosen = [model for model in services.models.installed() if model.name in names]
    day, since = request.POST.get("since", ""), None
    with suppress(ValueError):  # February 30.
        since = parse_date(day)
    if not chosen:
        messages.error(request, _("Choose at least one model."))
    elif day and not since:
        messages.error(request, _("That is not a day."))
    elif len(datasets.classes(datasets.reviewed(since))) < 2:
        text = _("Pictures of at least two true labels are needed. Review more of them first.")
        messages.error(request, text)
    else:
        try:
            if not services.comparisons.start(chosen[:_AT_ONCE], since):
                messages.error(request, _("Another comparison is running."))
        except UnavailableError:
            messages.error(request, _("The comparison could not be started. Try again later."))


def _shown(comparison: Comparison) -> DisplayedComparison:
    """What the page shows of ``comparison``; its texts come from a model, its keys from us."""
    result = comparison.result
    if "report" not in result:
        # Older results have it in English.
        error = result.get("error", "")
        error = in_sentences(map(from_json, [error] if isinstance(error, str) else error))
        return DisplayedComparison(comparison, error, None, [], [], [], [])
    report = UploadedReport.of_json(result["report"])
    chinese = {one.label: one.chinese for one in report.labels}

    def name(label: str) -> str:
        return named(label, chinese.get(label, ""))

    confusion = result["confusion"]
    rows = []
    for number, label in enumerate(confusion["labels"]):
        counts = [*confusion["counts"][number], confusion["elsewhere"][number]]
        total = sum(counts)
        cells = []
        for at, count in enumerate(counts if any(confusion["elsewhere"]) else counts[:-1]):
            # The darker, the larger a share of the row.
            shade = -(-_SHADES * count // total) if total else 0
            cells.append(Cell(count, f"{'right' if at == number else 'off'} shade-{shade}"))
        rows.append(ComparisonRow(name(label), cells))
    # Records that were deleted since are left out.
    keys = [one["key"] for one in result["mistakes"]]
    known = {str(key) for key in Record.objects.filter(key__in=keys).values_list("key", flat=True)}
    return DisplayedComparison(
        comparison,
        "",
        report,
        [name(label) for label in confusion["labels"]],
        rows,
        [
            Mistake(one["key"], name(one["truth"]), name(one["predicted"]), one["score"])
            for one in result["mistakes"]
            if one["key"] in known
        ],
        [(name(one.truth), name(one.predicted), one.share.hits) for one in report.pairs],
    )
