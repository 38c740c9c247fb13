"""What is kept of a report of `edge-classify evaluate`, for the page that compares models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_classifier.web.installed_models.uploaded_report import report_of
from edge_classifier.web.models import Record

_MOST_LABELS = 30
_MOST_MISTAKES = 60


def summary(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a report: enough for the page, and no more with more pictures."""
    return {
        "report": report_of(facts).as_json(),
        "confusion": _confusion(facts["confusion"]),
        "left_out": [[one["label"], one["pictures"]] for one in facts["data"]["left_out"]],
        "unreadable": len(facts["data"]["unreadable"]),
        "mistakes": _mistakes(facts["pictures"]),
    }


def _confusion(found: Mapping[str, Any]) -> dict[str, Any]:
    """Of the labels with most pictures: ``labels``, ``counts``, and ``elsewhere`` for each row."""
    counts, elsewhere = found["counts"], found["any_other_label"]
    total = [sum(row) + more for row, more in zip(counts, elsewhere, strict=True)]
    most = sorted(range(len(total)), key=lambda n: -total[n])[:_MOST_LABELS]
    kept = sorted(most)
    rows = [[counts[row][column] for column in kept] for row in kept]
    return {
        "labels": [found["labels"][n] for n in kept],
        "counts": rows,
        "elsewhere": [total[n] - sum(row) for n, row in zip(kept, rows, strict=True)],
    }


def _mistakes(pictures: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The wrong answers that were given with the highest scores, and their records."""
    wrong = [one for one in pictures if one["truth"] and one["truth"] != one["predicted"]]
    worst = sorted(wrong, key=lambda one: -one["score"])[:_MOST_MISTAKES]
    hashes = {Path(one["path"]).stem: one for one in worst}
    shown = Record.objects.filter(picture__sha256__in=hashes, truth__isnull=False)
    keys = dict(shown.order_by("-pk").values_list("picture__sha256", "key"))
    return [
        {**{name: one[name] for name in ("truth", "predicted", "score")}, "key": str(keys[sha256])}
        for sha256, one in hashes.items()
        if sha256 in keys
    ]
