"""Every figure of a report as plain values: the JSON, and all that the page shows."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edge_classifier.evaluation.calibration import reliability
from edge_classifier.evaluation.contents import CurvePoint, EdgeTpu, ReportData, Stage
from edge_classifier.evaluation.matching import NONE, says_nothing, says_unknown
from edge_classifier.evaluation.measures import (
    Share,
    class_figures,
    confused_pairs,
    confusion,
    rounded,
    top_k_hits,
)
from edge_classifier.evaluation.score import ScoredSamples, Subject
from edge_classifier.evaluation.thresholds import (
    DEFAULT_ENTER,
    enter_of,
    rejection,
    suggest_thresholds,
    threshold_facts,
)
from edge_classifier.evaluation.verdict import verdict

# Of report.json; a key that changes its meaning raises it.
FORMAT = 1
# Where a model has more than twice as many labels, it is also asked for its best five.
TOP_K = 5
PAIRS = 20


def figures(data: ReportData) -> dict[str, Any]:
    """All figures; what there are no data for is None or empty."""
    scored = data.scored
    facts: dict[str, Any] = {
        "format": FORMAT,
        "title": data.title,
        "made": data.made,
        "model": _model(scored.model),
        "data": _data(data),
        "accuracy": _accuracy(scored),
        "stages": [_stage(one) for one in data.stages],
        "agreement": data.agreement.as_dict() if data.agreement else None,
        **_by_label(scored),
        "calibration": _calibration(data),
        **_decisions(scored, data.wanted_precision),
        "latency": data.latency.as_dict() if data.latency else None,
        "edgetpu": _edgetpu(data.edgetpu),
        "learning_curve": [_point(one) for one in data.learning_curve],
        "history": [asdict(epoch) for epoch in data.history],
        "run": _run(data),
        "pictures": _pictures(scored),
    }
    return {"format": FORMAT, "verdict": verdict(facts), **facts}


def _model(subject: Subject) -> dict[str, Any]:
    return {**asdict(subject), "file": str(subject.file), "notes": list(subject.notes)}


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


def _stage(stage: Stage) -> dict[str, Any]:
    return {"name": stage.name, "note": stage.note, **stage.share.as_dict()}


def _point(point: CurvePoint) -> dict[str, Any]:
    return {
        "part": rounded(point.part),
        "training_pictures": point.pictures,
        **point.share.as_dict(),
    }


def _edgetpu(found: EdgeTpu | None) -> dict[str, Any] | None:
    return {"compiled": found.compiled, "lines": list(found.lines)} if found else None


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
    others = _others(scored)
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


def _others(scored: ScoredSamples) -> int:
    """Pictures that show none of the labels that are decided on."""
    nothing = np.array([says_nothing(label) for label in scored.labels])
    return int(np.count_nonzero(~scored.known | nothing[scored.truth]))


def _run(data: ReportData) -> dict[str, Any]:
    return {"seed": data.seed, "versions": dict(data.versions), "settings": data.settings}


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
