"""Which networks can be taught, and what is left of them."""

from pathlib import Path

import numpy as np
import pytest

from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile import object_api
from edge_classifier.samples import FOLDER as SAMPLES
from edge_classifier.teach.base import open_base
from edge_classifier.teach.head import Head, model_with_head
from edge_classifier.vision.pictures import load_picture
from edge_classifier.vision.preprocess import Preprocessor
from tests import tiny
from tests.teach.lessons import shapes, tiny_base


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenet-v2-int8", "flowers"])
def test_base_of_the_catalogue_gives_what_its_own_last_layer_sees(name: str) -> None:
    base = open_base(name)
    assert base.size == 1280
    whole = load_model(ModelChoice(name, delegate="cpu"))
    frame = load_picture(str(SAMPLES / "cat.jpg")).frame
    for engine in (base.engine, whole.engine):
        Preprocessor(base.contract, engine.input, engine.picture).write(frame)
        engine.invoke()
    weights, bias = last_layer(whole.delegate_choice.model)
    quantization = base.quantization
    features = (base.engine.scores.astype(float) - quantization.zero_point) * quantization.scale
    logits = weights @ features + bias
    best = np.argsort(-logits)[:3]
    assert whole.engine.scores[best].tolist() == sorted(whole.engine.scores)[:-4:-1]


def last_layer(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Weights (classes, features) and bias of a file's last layer, as real numbers."""
    model = object_api.read(path.read_bytes())
    graph = model.subgraphs[0]
    kinds = [object_api.operator_name(model, one) for one in graph.operators]
    last = max(n for n, kind in enumerate(kinds) if kind in ("CONV_2D", "FULLY_CONNECTED"))
    found = []
    dtypes: tuple[type[np.generic], ...] = (np.int8, np.int32)
    for index, dtype in zip(graph.operators[last].inputs[1:], dtypes, strict=True):
        values = object_api.values(model, index, dtype)
        rows = values.reshape(values.shape[0], -1).astype(float)
        scale = np.asarray(graph.tensors[index].quantization.scale, float).reshape(-1, 1)
        found.append(rows * scale)
    return found[0], found[1][:, 0]


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenet-v2-int8"])
def test_taught_file_says_what_the_learned_layer_says(name: str, tmp_path: Path) -> None:
    base = open_base(name)
    chance = np.random.default_rng(2)
    stored = []
    for _ in range(6):
        base.engine.picture[:] = chance.integers(-128, 128, base.engine.picture.shape)
        base.engine.invoke()
        stored.append(base.engine.scores.copy())
    features = np.array(stored, np.int8)
    head = Head(chance.normal(0, 0.002, (base.size, 4)), chance.normal(0, 0.1, 4))
    head.bias[:] -= head.logits(features).mean(axis=0)
    path = tmp_path / "taught.tflite"
    path.write_bytes(model_with_head(base.trunk, base.quantization, head, head.logits(features)))
    engine = TfliteEngine(path, load_runtime())
    engine.picture[:] = base.engine.picture
    engine.invoke()
    logits = head.logits(features[-1:])[0]
    powers = np.exp(logits - logits.max())
    scores = (engine.scores.astype(float) + 128) / 256
    np.testing.assert_allclose(scores, powers / powers.sum(), atol=0.03)


def test_taught_file_is_a_base_again_with_the_same_features(tmp_path: Path) -> None:
    base = tiny_base(tmp_path)
    head = Head(np.eye(3), np.zeros(3))
    path = tmp_path / "taught.tflite"
    logits = np.array([[-4, 4, 0]], np.float32)
    path.write_bytes(model_with_head(base.trunk, base.quantization, head, logits))
    again = open_base(str(path))
    assert again.weights == base.weights
    assert shapes(again.trunk) == shapes(base.trunk)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (tiny.Tiny(dtype="float32"), "not all int8"),
        (tiny.Tiny(dtype="uint8"), "not all int8"),
        (tiny.Tiny(softmax=False), "FULLY_CONNECTED stands where SOFTMAX is needed"),
    ],
)
def test_network_of_another_kind_is_refused_with_the_reason(
    network: tiny.Tiny, reason: str, tmp_path: Path
) -> None:
    path = tiny.build(tmp_path / "other.tflite", network)
    with pytest.raises(ModelError, match=reason):
        open_base(str(path))
