"""A report: every figure as plain values, and its files for programs, people and the daemon."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_classifier.errors import OutputError
from edge_classifier.evaluation.calibration import reliability
from edge_classifier.evaluation.matching import NONE, says_nothing, says_unknown
from edge_classifier.evaluation.measures import (
    Share,
    class_figures,
    confused_pairs,
    confusion,
    rounded,
    top_k_hits,
)
from edge_classifier.evaluation.report_data import ReportData
from edge_classifier.evaluation.score import ScoredSamples
from edge_classifier.evaluation.thresholds import (
    DEFAULT_ENTER,
    enter_of,
    rejection,
    suggest_thresholds,
    threshold_facts,
    thresholds_toml,
)
from edge_classifier.evaluation.verdict import verdict
from edge_classifier.files import write_whole

# Of report.json; a key that changes its meaning raises it.
FORMAT = 1
# Where a model has more than twice as many labels, it is also asked for its best five.
TOP_K = 5
PAIRS = 20
# By language the file of the page.
PAGES = {"en": "report.html", "zh-Hans": "report.zh-Hans.html"}
# What the page needs; the extra ``report`` brings them.
PAGE_LIBRARIES = ("jinja2", "matplotlib")
_NOWHERE = logging.NullHandler()


class Written(NamedTuple):
    """The files of a report."""

    json: Path
    thresholds: Path
    # None: the libraries that make it are not installed.
    page: Path | None


def write_report(folder: Path, data: ReportData) -> Written:
    """Write a report's files into ``folder``, each whole or not at all. Raises OutputError."""
    facts = figures(data)
    suggestions = suggest_thresholds(
        data.scored.probabilities, data.scored.truth, data.scored.labels, data.wanted_precision
    )
    source = f"{data.title}, {len(data.scored.paths)} pictures, {data.made}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(str(folder), f"cannot be made ({error.strerror})") from error
    json_file, thresholds_file = folder / "report.json", folder / "thresholds.toml"
    write_whole(json_file, as_json(facts))
    write_whole(thresholds_file, thresholds_toml(suggestions, data.wanted_precision, source))
    # Without a home matplotlib writes its cache elsewhere, and says so when it is imported.
    logging.getLogger("matplotlib").addHandler(_NOWHERE)
    try:
        from edge_classifier.evaluation.html_report import render  # Its libraries are an extra.
    except ModuleNotFoundError as error:
        if error.name not in PAGE_LIBRARIES:
            raise
        return Written(json_file, thresholds_file, None)
    for language, page in render(facts, data).items():
        write_whole(folder / PAGES[language], page)
    return Written(json_file, thresholds_file, folder / PAGES["en"])


def as_json(facts: Mapping[str, Any]) -> str:
    """One line a part: a matrix or ten thousand pictures would be a column of numbers."""
    lines = (f"{json.dumps(key)}: {json.dumps(facts[key], ensure_ascii=False)}" for key in facts)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def figures(data: ReportData) -> dict[str, Any]:
    """All figures; what there are no data for is None or empty."""
    scored, edgetpu = data.scored, data.edgetpu
    facts: dict[str, Any] = {
        "format": FORMAT,
        "title": data.title,
        "made": data.made,
        "model": {
            **asdict(scored.model),
            "file": str(scored.model.file),
            "notes": list(scored.model.notes),
        },
        "data": _data(data),
        "accuracy": _accuracy(scored),
        "stages": [
            {"name": one.name, "note": one.note, **one.share.as_dict()} for one in data.forms
        ],
        "agreement": data.agreement.as_dict() if data.agreement else None,
        **_by_label(scored),
        "calibration": _calibration(data),
        **_decisions(scored, data.wanted_precision),
        "latency": data.latency.as_dict() if data.latency else None,
        "edgetpu": {"compiled": edgetpu.compiled, "lines": list(edgetpu.lines)}
        if edgetpu
        else None,
        "learning_curve": [
            {
                "part": rounded(one.part),
                "training_pictures": one.pictures,
                **one.share.as_dict(),
            }
            for one in data.learning_curve
        ],
        "history": [asdict(epoch) for epoch in data.history],
        "run": {
            "seed": data.seed,
            "versions": dict(data.versions),
            "settings": data.settings,
        },
        "pictures": _pictures(scored),
    }
    return {"format": FORMAT, "verdict": verdict(facts), **facts}


def _data(data: ReportData) -> dict[str, Any]:
    scored = data.scored
    shown = {scored.labels[number] for number in np.unique(scored.truth[scored.known])}
    return {
        "folder": str(scored.folder),
        "pictures": len(scored.paths),
        "labels": len(scored.labels),
        "labels_with_pictures": len(shown),
        "labels_without_pictures": [one for one in scored.labels if one not in shown][:50],
        "chosen_on": data.chosen_on,
        "unreadable": [{"path": place, "problem": why} for place, why in scored.unreadable],
        "not_pictures": dict(scored.not_pictures),
        "left_out": [
            {"label": one.label, "pictures": one.pictures, "similar": list(one.similar)}
            for one in scored.left_out
        ],
        "findings": list(data.findings),
        "fingerprint": data.fingerprint,
    }


def _accuracy(scored: ScoredSamples) -> dict[str, Any]:
    truth, probabilities = scored.truth[scored.known], scored.probabilities[scored.known]
    hits = int(np.count_nonzero(truth == scored.predicted[scored.known]))
    many = len(scored.labels) > 2 * TOP_K
    top5 = Share(top_k_hits(probabilities, truth, TOP_K), len(truth)) if many else None
    return {
        "top1": Share(hits, len(truth)).as_dict(),
        "top5": top5.as_dict() if top5 else None,
    }


def _by_label(scored: ScoredSamples) -> dict[str, Any]:
    """Figures of each label, which of them are confused, and how often."""
    known = scored.known
    matrix = confusion(scored.truth[known], scored.predicted[known], len(scored.labels))
    shown = [number for number, count in enumerate(matrix.sum(axis=1)) if count]
    per_class = class_figures(matrix)
    elsewhere = matrix[shown].sum(axis=1) - matrix[np.ix_(shown, shown)].sum(axis=1)
    return {
        "labels": [
            {
                "label": scored.labels[number],
                "names": {tag: names[number] for tag, names in scored.names.items()},
                "pictures": per_class[number].count,
                "recall": Share(per_class[number].hits, per_class[number].count).as_dict(),
                "precision": Share(per_class[number].hits, per_class[number].predicted).as_dict(),
                "f1": rounded(per_class[number].f1),
            }
            for number in shown
        ],
        "confusion": {
            "labels": [scored.labels[number] for number in shown],
            "counts": matrix[np.ix_(shown, shown)].tolist(),
            "any_other_label": elsewhere.tolist(),
        },
        "confused_pairs": [
            {
                "truth": scored.labels[pair.truth],
                "predicted": scored.labels[pair.predicted],
                **Share(pair.count, pair.of).as_dict(),
            }
            for pair in confused_pairs(matrix, PAIRS)
        ],
    }


def _calibration(data: ReportData) -> dict[str, Any]:
    known = data.scored.known
    best = data.scored.probabilities.max(axis=1)[known]
    correct = (data.scored.predicted == data.scored.truth)[known]
    return {
        "temperature": rounded(data.temperature),
        "before": data.before.as_dict() if data.before else None,
        **reliability(best, correct).as_dict(),
    }


def _decisions(scored: ScoredSamples, wanted: float) -> dict[str, Any]:
    """Suggested thresholds, and what becomes of pictures that show something else."""
    given = scored.probabilities, scored.truth, scored.labels
    suggestions = suggest_thresholds(*given, wanted)
    thresholds = {
        "best_label_alone": np.zeros(len(scored.labels)),
        "default": np.full(len(scored.labels), DEFAULT_ENTER),
        "suggested": enter_of(suggestions, scored.labels),
    }
    # Pictures that show none of the labels that are decided on.
    nothing = np.array([says_nothing(label) for label in scored.labels])
    others = int(np.count_nonzero(~scored.known | nothing[scored.truth]))
    return {
        "thresholds": threshold_facts(suggestions, wanted),
        "other_pictures": {
            "pictures": others,
            "default_enter": DEFAULT_ENTER,
            "has_reject_class": any(says_unknown(label) for label in scored.labels),
            **{name: rejection(*given, enter).as_dict() for name, enter in thresholds.items()},
        }
        if others
        else None,
    }


def _pictures(scored: ScoredSamples) -> list[dict[str, Any]]:
    """Each picture: two reports of the same pictures can be compared by them."""
    score = scored.probabilities.max(axis=1)
    return [
        {
            "path": place,
            "truth": scored.labels[truth] if truth != NONE else None,
            "predicted": scored.labels[predicted],
            "score": rounded(float(score[number])),
        }
        for number, (place, truth, predicted) in enumerate(
            zip(scored.places, scored.truth, scored.predicted, strict=True)
        )
    ]


def worst_first(scored: ScoredSamples) -> Sequence[int]:
    """The mistakes, numbers of pictures: those that were made with the highest score first."""
    wrong = np.flatnonzero(scored.predicted != scored.truth)
    order = np.argsort(-scored.probabilities.max(axis=1)[wrong], kind="stable")
    return [int(number) for number in wrong[order]]
