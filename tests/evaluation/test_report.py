"""What report.json says, and what the verdict makes of it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_classifier.evaluation.calibration import reliability
from edge_classifier.evaluation.latency import Latency
from edge_classifier.evaluation.matching import NONE
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.report import as_json, figures, worst_first
from edge_classifier.evaluation.report_data import CurvePoint, EdgeTpu, Epoch, NetworkForm
from edge_classifier.evaluation.score import LeftOut
from edge_classifier.evaluation.verdict import verdict
from tests.evaluation.reports import report, scored

LABELS = ("cat", "dog", "unknown")
KEYS = {
    "format", "verdict", "title", "made", "model", "data", "accuracy", "stages", "agreement",
    "labels", "confusion", "confused_pairs", "calibration", "thresholds", "other_pictures",
    "latency", "edgetpu", "learning_curve", "history", "run", "pictures",
}  # fmt: skip
FEW = [(0, 0, 0.9), (0, 1, 0.8), (1, 1, 0.7), (2, 2, 0.95), (2, 0, 0.65)]


def many(right: int, wrong: int) -> list[tuple[int, int, float]]:
    """Cats and dogs, alternately, of which the last ``wrong`` are taken for the other."""
    pictures = [(n % 2, n % 2, 0.98) for n in range(right)]
    return pictures + [(n % 2, 1 - n % 2, 0.98) for n in range(wrong)]


def test_figures_have_the_same_keys_whatever_is_known() -> None:
    full = report(
        scored(LABELS, FEW),
        forms=(NetworkForm("int8", Share(3, 5), "exported"),),
        agreement=Share(5, 5),
        before=reliability(np.array([0.5]), np.array([True])),
        temperature=1.5,
        history=(
            Epoch(
                stage="head",
                number=1,
                seconds=0.5,
                rate=1e-3,
                train_loss=0.7,
                train_accuracy=0.6,
                held_loss=0.8,
                held_accuracy=0.5,
            ),
        ),
        latency=Latency(1.0, "other", 2.0, 0.5, 60, 1),
        edgetpu=EdgeTpu(False, ("PAD is in the way",)),
        learning_curve=(CurvePoint(0.5, 40, Share(3, 5)),),
        settings="seed = 0",
        versions={"numpy": "2"},
        seed=0,
        fingerprint="cd",
    )
    bare = report(scored(LABELS[:2], FEW[:2]))
    assert set(figures(full)) == set(figures(bare)) == KEYS


def test_figures_survive_json() -> None:
    facts = figures(report(scored(LABELS, FEW)))
    assert json.loads(as_json(facts)) == facts


def test_figures_count_what_is_right_and_name_each_picture() -> None:
    facts = figures(report(scored(LABELS, [*FEW, (NONE, 1, 0.5)])))
    assert facts["accuracy"]["top1"] == {
        "hits": 3, "count": 5, "share": 0.6, "low": 0.2307, "high": 0.8824
    }  # fmt: skip
    assert facts["accuracy"]["top5"] is None
    assert facts["pictures"][1] == {
        "path": "folder/1.jpg", "truth": "cat", "predicted": "dog", "score": 0.8
    }  # fmt: skip
    assert facts["pictures"][5]["truth"] is None
    assert facts["confusion"]["counts"] == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert facts["confused_pairs"][0]["truth"] == "cat"
    other = facts["other_pictures"]
    assert (other["pictures"], other["has_reject_class"]) == (3, True)
    assert other["best_label_alone"]["false_accepts"]["hits"] == 2
    assert other["default"]["false_accepts"]["hits"] == 1


def test_figures_of_a_model_with_more_labels_than_folders_show_those_with_pictures() -> None:
    labels = [f"class {number}" for number in range(12)]
    facts = figures(report(scored(labels, [(3, 3, 0.9), (3, 7, 0.6), (5, 3, 0.6)])))
    assert [one["label"] for one in facts["labels"]] == ["class 3", "class 5"]
    assert facts["confusion"] == {
        "labels": ["class 3", "class 5"], "counts": [[1, 0], [1, 0]], "any_other_label": [1, 0]
    }  # fmt: skip
    assert facts["data"]["labels_with_pictures"] == 2
    assert "class 0" in facts["data"]["labels_without_pictures"]
    assert facts["accuracy"]["top5"]["count"] == 3


def test_worst_mistakes_come_with_the_highest_score_first() -> None:
    assert worst_first(scored(LABELS, [(0, 1, 0.6), (0, 0, 0.9), (1, 0, 0.8)])) == [2, 0]


@pytest.mark.parametrize(
    ("right", "wrong", "grade"),
    [(480, 20, "good"), (95, 5, "fair"), (440, 60, "fair"), (10, 30, "poor"), (5, 0, "unsure")],
)
def test_verdict_goes_by_the_ends_of_the_interval(right: int, wrong: int, grade: str) -> None:
    found = figures(report(scored(LABELS[:2], many(right, wrong))))["verdict"]
    assert found["grade"] == grade
    assert found["headline"]


def advice(facts: dict[str, Any]) -> str:
    return "\n".join(facts["verdict"]["next"])


def test_verdict_of_a_good_model_says_to_try_it() -> None:
    facts = figures(report(scored(LABELS, [*many(480, 0), (NONE, 0, 0.4)])))
    command = "edge-classify --model tiny.tflite --image FOLDER"
    expected = f"Try it on pictures that it has never seen: {command}"
    assert facts["verdict"]["next"] == [expected]


def test_verdict_tells_of_few_pictures_weak_labels_confusions_and_scores() -> None:
    pictures = [(0, 0, 0.99)] * 19 + [(1, 0, 0.99)] * 15 + [(1, 1, 0.99)] * 15
    text = advice(figures(report(scored(LABELS[:2], pictures))))
    assert "fewer than 20 show cat." in text
    assert "more pictures of dog" in text
    assert "dog and cat that look alike" in text
    assert "points apart" in text
    assert "--other FOLDER" in text


def test_verdict_calls_no_label_weak_where_all_are_always_found() -> None:
    right = [(0, 0, 0.9)] * 20 + [(1, 1, 0.9)] * 20
    found = figures(report(scored(LABELS[:2], right)))["verdict"]["found"]
    assert found == [
        "100.0 % of 40 pictures are named rightly (likely 91.2 to 100.0 % of many more)."
    ]
    missed = figures(report(scored(LABELS[:2], [*right, (1, 0, 0.9)])))["verdict"]["found"]
    assert any("Weakest label: dog" in line for line in missed)


def test_verdict_tells_of_false_accepts_and_of_folders_that_were_left_out() -> None:
    found = scored(LABELS, [*many(40, 0), *[(2, 0, 0.95)] * 10])
    left_out = replace(found, left_out=(LeftOut("catt", 3, ("cat",)),))
    text = advice(figures(report(left_out, wanted_precision=0.5)))
    assert "It claims to know 100.0 % of the pictures of other things" in text
    assert "The folder catt is not a label of this model (similar: cat)" in text
    assert "of unknown" not in text


def others(wrong: tuple[int, int], missed: tuple[int, int]) -> dict[str, Any]:
    """Of 100 pictures, by the default and by the suggested thresholds."""
    default, suggested = (
        {"false_accepts": Share(one, 100).as_dict(), "false_rejects": Share(two, 100).as_dict()}
        for one, two in zip(wrong, missed, strict=True)
    )
    return {"default": default, "suggested": suggested, "has_reject_class": True}


@pytest.mark.parametrize(
    ("wrong", "missed", "said"),
    [
        ((9, 2), (5, 5), "Use the suggested thresholds"),
        ((9, 2), (5, 30), "but miss 30.0 % instead of 5.0 %"),
        ((2, 2), (5, 30), ""),
        ((2, 9), (5, 1), ""),
    ],
)
def test_advice_on_thresholds_is_what_the_table_says(
    wrong: tuple[int, int], missed: tuple[int, int], said: str
) -> None:
    facts = figures(report(scored(LABELS, [*many(480, 20), (NONE, 0, 0.4)])))
    text = "\n".join(verdict({**facts, "other_pictures": others(wrong, missed)})["next"])
    assert said in text
    assert bool(said) == ("suggested thresholds" in text)
