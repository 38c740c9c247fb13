"""``edge-classify export --portable``: the same network for programs that take no int8."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.cli.main import main
from edge_classifier.core.contract import ColourOrder, Contract, Interpolation
from edge_classifier.core.quantization import Quantization, TensorSpec
from edge_classifier.errors import ExitCode
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.bundle import append_bundle, read_bundle
from edge_classifier.modelfile.tflite_metadata import read_tflite_metadata
from edge_classifier.vision.pictures import find_pictures, load_picture
from edge_classifier.vision.preprocess import Pixels, Preprocessor
from tests import tiny

SAMPLES = Path(__file__).parents[2] / "edge_classifier" / "samples"
EMBEDDED = ("efficientnet-lite0", "mobilenet-v2-int8", "flowers")
MEDIAPIPE_VARIABLE = "EDGE_CLASSIFIER_MEDIAPIPE"
# A program for MediaPipe's own Python: prints each picture's best label and score as JSON.
CLASSIFY = """
import json, sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
model, language, *pictures = sys.argv[1:]
options = vision.ImageClassifierOptions(
    base_options=BaseOptions(model_asset_path=model),
    max_results=1,
    display_names_locale=language,
)
with vision.ImageClassifier.create_from_options(options) as classifier:
    for picture in pictures:
        result = classifier.classify(mediapipe.Image.create_from_file(picture))
        best = result.classifications[0].categories[0]
        print(json.dumps([best.category_name, best.display_name, best.score]))
"""


def export(reference: str, folder: Path) -> Path:
    target = folder / "portable.tflite"
    assert main(["export", "--portable", reference, "--out", str(target)]) == ExitCode.OK
    return target


def labelled(path: Path, model: tiny.Tiny) -> Path:
    """A tiny classifier with labels inside, as other programs' exports have them."""
    tiny.build(path, model)
    labels = [f"label {number}" for number in range(model.classes)]
    append_bundle(path, {"labels.txt": "\n".join(labels)})
    return path


def cut(picture: str, contract: Contract) -> Pixels:
    """A picture as the network sees it, (height, width, 3), uint8, RGB."""
    pixels = np.empty((contract.height, contract.width, 3), np.uint8)
    spec = TensorSpec("", (1, *pixels.shape), pixels.dtype, Quantization(1 / 128, 128))
    Preprocessor(contract, spec, pixels).write(load_picture(picture).frame)
    return pixels


@pytest.mark.parametrize("name", EMBEDDED)
def test_copy_gives_every_picture_the_very_scores_of_the_model(name: str, tmp_path: Path) -> None:
    copy = load_model(ModelChoice(str(export(name, tmp_path)), "cpu"))
    original = load_model(ModelChoice(name, "cpu"))
    assert copy.engine.input.dtype == copy.engine.output.dtype == np.uint8
    assert copy.resolved.contract == original.resolved.contract
    for picture in find_pictures([str(SAMPLES)]):
        frame = load_picture(picture).frame
        expected, found = (
            model.classifier(AnswerOptions(5)).classify(frame) for model in (original, copy)
        )
        assert found.predictions == expected.predictions


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_every_kind_of_input_becomes_one_that_others_take(dtype: str, tmp_path: Path) -> None:
    source = labelled(tmp_path / "tiny.tflite", tiny.Tiny(dtype=dtype))
    model = load_model(ModelChoice(str(export(str(source), tmp_path)), "cpu"))
    expected = np.float32 if dtype == "float32" else np.uint8
    assert model.engine.input.dtype == model.engine.output.dtype == expected
    red = np.zeros((8, 8, 3), np.uint8)
    red[:, :, 2] = 255
    cv2.imwrite(str(tmp_path / "red.png"), red)
    frame = load_picture(str(tmp_path / "red.png")).frame
    (best,) = model.classifier(AnswerOptions(1)).classify(frame).predictions
    assert best.label == "label 0"


def test_copy_says_how_pictures_enter_it_and_carries_its_labels_in_each_language(
    tmp_path: Path,
) -> None:
    path = export("flowers", tmp_path)
    found = read_tflite_metadata(path)
    assert found
    assert found.mean == found.std == (128.0, 128.0, 128.0)
    assert found.label_files == (("labels.txt", ""), ("labels_zh.txt", "zh"))
    members = read_bundle(path)
    assert members["labels_zh.txt"].decode().splitlines()[0] == "雏菊"
    assert b"flower_photos" in members["model_card.md"]
    with zipfile.ZipFile(path) as archive:
        # MediaPipe: "Expected uncompressed zip archive."
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}


def test_copy_carries_the_tree_of_names_that_is_in_use(tmp_path: Path) -> None:
    path = labelled(tmp_path / "tiny.tflite", tiny.Tiny())
    append_bundle(path, {"taxonomy.tsv": "name,parent\ninside,\nlabel 0,inside\n"})
    (tmp_path / "tiny.taxonomy.tsv").write_text("name,parent\nbeside,\nlabel 1,beside\n")
    copy = load_model(ModelChoice(str(export(str(path), tmp_path)), "cpu"))
    assert [node.name for node in copy.resolved.contract.taxonomy.nodes] == ["beside"]
    assert copy.resolved.taxonomy_from == "taxonomy.tsv in the model"


def test_copy_of_a_run_lies_beside_its_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    labelled(run / "model.tflite", tiny.Tiny())
    assert main(["export", str(run), "--portable"]) == ExitCode.OK
    assert capsys.readouterr().out == f"{run / 'model_portable.tflite'}\n"
    assert (run / "model_portable.tflite").exists()


def test_export_for_other_programs_needs_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from edge_classifier.cli.main import main; "
        "code = main(['export', '--portable', '--out', sys.argv[1]]); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "portable.tflite")]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "RUN: is missing"),
        (("run", "--out", "file"), "--out: is for --portable"),
        (("run", "--portable", "--set", "scores.precision=0.9"), "--set: is not for --portable"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments]) == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_model_that_wants_blue_first_is_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = labelled(tmp_path / "tiny.tflite", tiny.Tiny())
    contract = replace(Contract(8, 8), colour_order=ColourOrder.BGR)
    (tmp_path / "tiny.contract.json").write_text(contract.to_json(), "utf-8")
    code = main(["export", "--portable", str(source), "--out", str(tmp_path / "out.tflite")])
    assert code == ExitCode.BAD_DATA
    assert "wants blue first" in capsys.readouterr().err
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize("name", EMBEDDED)
def test_mediapipe_itself_names_pictures_as_this_program_does(name: str, tmp_path: Path) -> None:
    """On pictures that are cut already: MediaPipe stretches a whole picture."""
    if MEDIAPIPE_VARIABLE not in os.environ:
        pytest.skip(f"${MEDIAPIPE_VARIABLE} is not set: a Python that has MediaPipe")
    model = load_model(ModelChoice(name, "cpu"))
    contract = model.resolved.contract
    assert contract.interpolation is Interpolation.HALVING
    classifier = model.classifier(AnswerOptions(1, language="zh"))
    pictures, expected = [], []
    for number, picture in enumerate(find_pictures([str(SAMPLES)])):
        pictures.append(str(tmp_path / f"{number}.png"))
        cv2.imwrite(pictures[-1], cut(picture, contract)[:, :, ::-1])
        expected.append(classifier.classify(load_picture(picture).frame).predictions[0])
    command = [os.environ[MEDIAPIPE_VARIABLE], "-c", CLASSIFY, str(export(name, tmp_path)), "zh"]
    run = subprocess.run(
        [*command, *pictures], stdout=subprocess.PIPE, check=True, timeout=120, text=True
    )
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) == len(expected) > 3
    for (label, shown, score), best in zip(found, expected, strict=True):
        assert best.index is not None
        assert (label, shown) == (contract.labels[best.index], best.label)
        # Another build of the kernels may round otherwise by a step or two.
        assert score == pytest.approx(best.score, abs=0.03)
