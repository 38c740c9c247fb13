"""``edge-classify train`` from beginning to end: what it leaves is what the device wants."""

import json
import shutil
import tomllib
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_classifier.cli.main import main
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.dataset.folder import scan
from edge_classifier.evaluation.score import score_samples
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.model_writing import problems
from edge_classifier.modelfile.bundle import CARD_FILE, read_bundle
from edge_classifier.training.run_folder import MODEL_FILE, PTQ_FILE
from tests.conftest import Cli
from tests.training.shapes import BROKEN, LABELS, SIDE, save
from tests.training.small_run import SEED, SmallRun

LEARN, HELD, OTHER_HELD = 56, 58, 18


@pytest.fixture(scope="module")
def report(finished: SmallRun) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((finished.run / "report.json").read_text("utf-8"))
    return facts


@pytest.fixture(scope="module")
def model(finished: SmallRun) -> LoadedModel:
    return load_model(ModelChoice(str(finished.model), "cpu"))


def test_run_leaves_these_files_and_nothing_unfinished(finished: SmallRun) -> None:
    assert sorted(path.name for path in finished.run.iterdir()) == [
        "augmentation.jpg",
        "checkpoints",
        MODEL_FILE,
        PTQ_FILE,
        "report.html",
        "report.json",
        "report.zh-Hans.html",
        "run.json",
        "settings.toml",
        "thresholds.toml",
    ]
    assert sorted(path.name for path in (finished.run / "checkpoints").iterdir()) == [
        f"{stage}-{which}.ckpt"
        for stage in ("finetune", "head", "quantize")
        for which in ("best", "last")
    ]


def test_command_prints_what_it_made_and_says_what_it_does(finished: SmallRun) -> None:
    assert finished.said
    assert finished.said.stdout.decode().splitlines() == ["run/model.tflite", "run/report.html"]
    lines = finished.said.stderr.decode().splitlines()
    stages = [line.split()[1] for line in lines if line.startswith("edge-classify: ")]
    known = ["head:", "finetune:", "quantize:", "export:", "evaluate:"]
    # On a slow machine a stage also says each minute how far it is.
    assert [stage for stage, _ in groupby(stage for stage in stages if stage in known)] == known
    parts = f"{LEARN} pictures to learn from, {HELD} to measure on, the same to choose by"
    assert f"edge-classify: {parts}" in lines
    found = f"edge-classify:     {BROKEN}: cannot be read as a picture ("
    assert any(line.startswith(found) for line in lines)
    assert "--model run/model.tflite --image" in lines[-1]


def test_model_is_all_int8_with_the_contract_labels_and_names(model: LoadedModel) -> None:
    assert problems(model.delegate_choice.model) == []
    assert model.engine.input.shape == (1, SIDE, SIDE, 3)
    contract = model.resolved.contract
    assert contract.labels == LABELS
    assert contract.names["zh"] == ("圆盘", "方块", "未知")
    assert contract.names["en"] == ("Disc", "Square", "unknown")
    assert (contract.width, contract.height, contract.crop_fraction) == (SIDE, SIDE, 0.875)
    assert model.notes == ()


def test_model_card_says_what_it_learned_from(finished: SmallRun, report: dict[str, Any]) -> None:
    card = read_bundle(finished.model)[CARD_FILE].decode()
    rounded = next(stage for stage in report["stages"] if stage["name"] == "QAT")
    assert f"Right on {rounded['hits']} of {rounded['count']} held-out pictures" in card
    assert report["data"]["fingerprint"] in card
    assert f"temperature of {report['calibration']['temperature']:.3f}" in card
    assert f"  - unknown: {36 - OTHER_HELD} and {OTHER_HELD}" in card
    assert "first.safetensors, SHA-256" in card


def test_model_names_a_new_picture_in_chinese(finished: SmallRun, cli: Cli) -> None:
    picture = finished.data / "disc/00.png"
    done = cli("--model", finished.model, "--image", picture, "--lang", "zh", "--format", "json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    predictions = answer["predictions"]
    assert predictions[0]["label"] == "圆盘"
    # Which of the others comes second is the network's affair; each has its own name.
    names = ("圆盘", "方块", "未知")
    assert sorted(one["index"] for one in predictions) == [0, 1, 2]
    assert all(one["label"] == names[one["index"]] for one in predictions)


def test_thresholds_can_be_pasted_into_the_daemons_settings(
    finished: SmallRun, cli: Cli, tmp_path: Path
) -> None:
    settings = f'[cameras.front]\nsource = "0"\n[model]\nuse = "{finished.model}"\n'
    thresholds = (finished.run / "thresholds.toml").read_text("utf-8")
    assert tomllib.loads(thresholds)["decision"]["labels"].keys() <= set(LABELS) - {UNKNOWN}
    path = tmp_path / "config.toml"
    path.write_text(settings + thresholds, "utf-8")
    done = cli("config", "check", "--labels", "--config", path)
    assert done.returncode == 0, done.stderr
    assert "[decision.labels.disc]" in thresholds


def test_report_has_all_forms_of_the_network_and_they_agree(report: dict[str, Any]) -> None:
    stages = {stage["name"]: stage for stage in report["stages"]}
    assert list(stages) == ["float", "QAT", "int8", "PTQ"]
    assert {stage["count"] for stage in stages.values()} == {HELD}
    assert stages["int8"]["share"] >= 0.75
    assert report["agreement"]["share"] >= 0.97
    assert stages["int8"]["hits"] == report["accuracy"]["top1"]["hits"]


def test_report_tells_the_whole_story(report: dict[str, Any]) -> None:
    assert [epoch["stage"] for epoch in report["history"]] == (
        ["head"] * 6 + ["finetune"] * 2 + ["quantize"] * 2
    )
    assert report["other_pictures"]["has_reject_class"]
    assert report["other_pictures"]["pictures"] == OTHER_HELD
    assert report["calibration"]["before"]["expected_error"] > 0
    assert report["data"]["chosen_on"]
    assert any(BROKEN in line for line in report["data"]["findings"])
    assert report["latency"]["reference"] == "mobilenet-v2-int8"
    assert report["edgetpu"] == {"compiled": False, "lines": []}
    assert report["model"]["operators"]["CONV_2D"] == 35
    assert report["run"]["seed"] == SEED
    assert tomllib.loads(report["run"]["settings"])["head"]["rate"] == 1e-3


def test_page_shows_the_same_figures_and_needs_nothing_else(
    finished: SmallRun, report: dict[str, Any]
) -> None:
    page = (finished.run / "report.html").read_text("utf-8")
    assert f"{100 * report['accuracy']['top1']['share']:.1f} %" in page
    assert report["data"]["fingerprint"] in page
    assert "方块" in (finished.run / "report.zh-Hans.html").read_text("utf-8")
    assert 'src="http' not in page
    assert "<link" not in page


def test_run_says_with_what_it_was_done(finished: SmallRun, report: dict[str, Any]) -> None:
    facts = json.loads((finished.run / "run.json").read_text("utf-8"))
    assert facts["seed"] == SEED
    assert facts["data"] == report["data"]["fingerprint"]
    assert facts["versions"] == report["run"]["versions"]
    assert {"torch", "litert-torch", "edge-classifier", "python"} <= facts["versions"].keys()
    settings = tomllib.loads((finished.run / "settings.toml").read_text("utf-8"))
    assert settings["data"]["folder"] == str(finished.data)


def test_fresh_evaluation_of_the_held_out_pictures_gives_the_reports_figures(
    finished: SmallRun,
    report: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = {picture["path"] for picture in report["pictures"]}
    for place in held:
        label, name = place.split("/")
        source = (finished.other if label == UNKNOWN else finished.data / label) / name
        (tmp_path / label).mkdir(exist_ok=True)
        shutil.copy(source, tmp_path / label / name)
    assert main(["evaluate", str(finished.model), str(tmp_path), "--json"]) == 0
    fresh = json.loads(capsys.readouterr().out)
    for part in ("accuracy", "confusion", "confused_pairs", "thresholds", "other_pictures"):
        assert fresh[part] == report[part]
    assert by_path(fresh) == by_path(report)
    assert fresh["calibration"]["bins"] == report["calibration"]["bins"]


def by_path(facts: dict[str, Any]) -> dict[str, Any]:
    return {picture["path"]: picture for picture in facts["pictures"]}


def test_pictures_with_four_channels_and_with_16_bits_are_seen_as_what_they_show(
    finished: SmallRun, report: dict[str, Any], model: LoadedModel, tmp_path: Path
) -> None:
    places = ["disc/alpha.png", "方块/deep.png"]
    for place in places:
        data = np.fromfile(finished.data / place, np.uint8)
        stored = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
        # The same picture as three channels of 8 bits: an opaque alpha and low bytes say nothing.
        plain = stored[..., :3] if stored.dtype == np.uint8 else stored // 257
        save(tmp_path / place, plain.astype(np.uint8))
    expected = score_samples(model, scan(tmp_path)).probabilities
    seen = [by_path(report)[place] for place in places]
    assert [one["score"] for one in seen] == pytest.approx(expected.max(1).tolist(), abs=1e-4)
    assert [one["predicted"] for one in seen] == [LABELS[best] for best in expected.argmax(1)]


def test_network_quantized_after_training_is_another_one_of_the_same_kind(
    finished: SmallRun, model: LoadedModel
) -> None:
    after = load_model(ModelChoice(str(finished.run / PTQ_FILE), "cpu"))
    assert after.resolved.contract == model.resolved.contract
    assert problems(after.delegate_choice.model) == []
    pictures = scan(finished.data, other=finished.other)
    trained, quantized = (score_samples(one, pictures).probabilities for one in (model, after))
    assert not np.array_equal(trained, quantized)


def test_held_out_pictures_are_none_of_those_that_were_learned_from(
    report: dict[str, Any], finished: SmallRun
) -> None:
    """Look-alikes, which the check names, are all on one side."""
    held = {picture["path"] for picture in report["pictures"]}
    assert len(held) == HELD
    groups = [line.split(" = ") for line in report["data"]["findings"] if " = " in line]
    assert groups
    for group in groups:
        shown = [place.strip() for place in group if " and " not in place]
        assert len({place in held for place in shown}) == 1
