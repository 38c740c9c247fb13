"""First weights out of an int8 file, and batch norm that finds its statistics again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_classifier import samples
from edge_classifier.core.contract import Contract
from edge_classifier.core.quantization import dequantize
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError
from edge_classifier.modelfile import object_api
from edge_classifier.modelfile.catalogue import embedded_folder
from edge_classifier.training import settings
from edge_classifier.training.export import convert
from edge_classifier.training.networks import build, int8_file, published
from edge_classifier.training.networks.batch_norm import restore_statistics
from edge_classifier.vision.pictures import load_picture
from edge_classifier.vision.preprocess import Preprocessor
from tests import tiny

CONTRACT = Contract(224, 224)


def photographs() -> Tensor:
    """The five of the installation, (5, 3, 224, 224), as networks see them."""
    frames = [load_picture(str(path)).frame for path in sorted(samples.FOLDER.glob("*.jpg"))]
    inputs = [torch.from_numpy(item) for item in convert.real_inputs(frames, CONTRACT)]
    return torch.cat(inputs).permute(0, 3, 1, 2)


def pooled_by_the_file(folder: Path) -> Tensor:
    """What the file itself pools for the photographs, (5, 1280)."""
    model = object_api.read(published.embedded_weights(embedded_folder()).read_bytes())
    graph = model.subgraphs[0]
    names = [object_api.operator_name(model, one) for one in graph.operators]
    pool = names.index("AVERAGE_POOL_2D")
    graph.operators = graph.operators[: pool + 1]
    graph.outputs = [graph.operators[pool].outputs[0]]
    tensor = graph.tensors[graph.outputs[0]]
    # The engine wants one row of scores.
    tensor.shape = [1, 1280]
    path = folder / "features.tflite"
    path.write_bytes(object_api.write(model))
    engine = TfliteEngine(path, load_runtime())
    preprocessor = Preprocessor(CONTRACT, engine.input, engine.picture)
    rows = []
    for picture in sorted(samples.FOLDER.glob("*.jpg")):
        preprocessor.write(load_picture(str(picture)).frame)
        engine.invoke()
        rows.append(dequantize(engine.scores, engine.output.quantization).copy())
    return torch.from_numpy(np.array(rows))


def test_network_with_the_embedded_weights_has_the_features_of_the_file(tmp_path: Path) -> None:
    network = build(settings.NetworkSettings(name="mobilenet-v2", size=224), 5).eval()
    with torch.inference_mode():
        own = network.pooled(photographs())
    theirs = pooled_by_the_file(tmp_path)
    assert torch.cosine_similarity(own, theirs).min() > 0.95


def test_statistics_are_found_again_and_change_nothing() -> None:
    network = build(settings.NetworkSettings(name="mobilenet-v2", size=224), 5).eval()
    pictures = photographs()
    with torch.inference_mode():
        before = network(pictures)
        restore_statistics(network, pictures.split(2))
        after = network(pictures)
    assert torch.allclose(before, after, atol=1e-3)
    first = network.features[0][1]
    assert isinstance(first, nn.BatchNorm2d)
    entered: list[Tensor] = []
    first.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    with torch.inference_mode():
        network(pictures)
    mean, variance = entered[0].mean((0, 2, 3)), entered[0].var((0, 2, 3), unbiased=False)
    assert torch.allclose(first.running_mean, mean, atol=1e-3)
    assert torch.allclose(first.running_var, variance, rtol=1e-2, atol=1e-3)


def test_batch_norm_that_has_its_statistics_keeps_them() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean.fill_(0.5)
    restore_statistics(nn.Sequential(norm), [torch.randn(2, 3, 4, 4)])
    assert torch.equal(norm.running_mean, torch.full((3,), 0.5))
    assert torch.equal(norm.weight, torch.ones(3))


def test_damaged_file_and_another_network_are_refused(tmp_path: Path) -> None:
    other = tiny.build(tmp_path / "other.tflite")
    with pytest.raises(ModelError, match="is not a MobileNetV2: it has 0 convolutions, not 52"):
        int8_file.read(other)
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(b"\x10\x00\x00\x00TFL3" + b"?" * 300)
    with pytest.raises(ModelError, match="cannot be read as an int8"):
        int8_file.read(damaged)
