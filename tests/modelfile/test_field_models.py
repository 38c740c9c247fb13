"""Model files of others that were once read wrongly."""

from pathlib import Path

import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.vision.pictures import load_picture
from tests.modelfile.model_files import load


@pytest.mark.parametrize(
    ("model", "labels", "pictures"),
    [
        ("rgb_rescale", ("red", "green", "blue"), ("red", "green", "blue")),
        ("bright_dark_rescale", ("bright", "dark"), ("bright", "dark")),
    ],
)
def test_models_with_the_rescaling_inside_name_plain_pictures(
    model: str, labels: tuple[str, ...], pictures: tuple[str, ...], shared: Path
) -> None:
    folder = shared / "cases" / "rescale"
    loaded = load(folder / f"{model}.tflite")
    classifier = loaded.classifier(AnswerOptions(1))
    for name in pictures:
        frame = load_picture(str(folder / "pictures" / f"{name}.png")).frame
        best = classifier.classify(frame).predictions[0]
        assert best.index is not None
        assert labels[best.index] == name
        assert best.score > 0.9


def test_automl_export_is_fed_raw_pixels(shared: Path) -> None:
    model = load(shared / "cases/metadata-uint8/automl_labeler_model.tflite")

    assert model.resolved.contract.input_range == "-1.008 to 1"
    assert any("raw pixels are fed" in note for note in model.notes)
