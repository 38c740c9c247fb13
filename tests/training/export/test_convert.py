"""The exported file is all int8, keeps the learned ranges, agrees with training, and is whole."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_classifier import samples
from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels.taxonomy_file import parse_taxonomy
from edge_classifier.core.quantization import Quantization, dequantize
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError, OutputError
from edge_classifier.model_writing import pack, problems
from edge_classifier.modelfile import object_api
from edge_classifier.modelfile.bundle import read_bundle
from edge_classifier.training import qat
from edge_classifier.training.export import convert
from edge_classifier.training.export.ranges import activation_names, ranges_by_name
from edge_classifier.training.networks import base
from edge_classifier.training.networks.base import Convnet
from edge_classifier.training.networks.blocks import InvertedResidual, Padding, activated
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2
from edge_classifier.vision.pictures import load_picture
from tests import smalldisk, tiny

SIDE = 96
CONTRACT = Contract(SIDE, SIDE, labels=("red", "green", "blue"), names={"zh": ("红", "绿", "蓝")})
TEMPERATURE = 1.7


def photographs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Cut-outs of a photograph tinted red, green or blue, (N, 3, 96, 96); which, (N,)."""
    generator = np.random.default_rng(seed)
    photograph = load_picture(str(samples.CAT)).frame.pixels
    pixels = np.stack([cut_out(photograph, generator) for _ in range(count)]).astype(np.float32)
    tint = np.full((count, 3), 0.6, np.float32)
    truth = np.arange(count) % 3
    tint[np.arange(count), truth] = 1.0
    tinted = np.rint(pixels * tint[:, None, None, :]) - 128
    return torch.from_numpy(tinted / 128).permute(0, 3, 1, 2), torch.from_numpy(truth)


def cut_out(photograph: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    side = int(generator.integers(SIDE, min(photograph.shape[:2])))
    y, x = (int(generator.integers(0, length - side)) for length in photograph.shape[:2])
    cut = photograph[y : y + side, x : x + side]
    return np.asarray(cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def train(network: nn.Module, steps: int, rate: float) -> None:
    optimizer = torch.optim.Adam(network.parameters(), rate)
    network.train()
    for step in range(steps):
        shown, truth = photographs(24, seed=step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(shown), truth).backward()
        optimizer.step()
    network.eval()


@dataclass(frozen=True)
class Exported:
    prepared: nn.Module
    # The float .tflite.
    original: bytes
    # In int8.
    model: bytes
    # That of ``model``, packed.
    path: Path


@pytest.fixture(scope="module", autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def exported(prepared: nn.Module, path: Path) -> Exported:
    original = convert.convert(qat.strip(prepared), CONTRACT)
    ranges = ranges_by_name(original, qat.learned_ranges(prepared))
    model = convert.quantize(original, ranges)
    pack(model, path, CONTRACT, "# Tints\n")
    return Exported(prepared, original, model, path)


@pytest.fixture(scope="module")
def tints(_seeded: None, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A MobileNetV2 trained for seconds, then quantization-aware."""
    network = MobileNetV2(0.35)
    network.classifier = base.linear_head(network.outputs, 3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.4  # so that a dozen steps are enough for its statistics
    train(network, 12, 0.003)
    prepared = qat.prepare(qat.fold(network))
    qat.observe_only(prepared, True)
    prepared(photographs(24, seed=100)[0])
    qat.observe_only(prepared, False)
    train(prepared, 4, 0.0003)
    qat.freeze_ranges(prepared)
    return exported(prepared, tmp_path_factory.mktemp("tints") / "tints.tflite")


@pytest.fixture(scope="module")
def small(_seeded: None, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Untrained; symmetric padding and dense layers."""
    symmetric = Padding.SYMMETRIC
    blocks = [
        activated(3, 8, 3, 2, padding=symmetric),
        InvertedResidual(8, 8, 1, 2),
        InvertedResidual(8, 16, 2, 2, padding=symmetric),
    ]
    network = Convnet(blocks, 16)
    network.classifier = base.dense_head(16, 3)
    prepared = qat.prepare(qat.fold(network))
    prepared.train()(photographs(6, seed=0)[0])
    return exported(prepared.eval(), tmp_path_factory.mktemp("small") / "small.tflite")


def scores(path: Path, shown: Tensor) -> NDArray[np.float32]:
    """Probabilities of the file at ``path``, (N, classes)."""
    engine = TfliteEngine(path, load_runtime())
    rows = []
    for picture in shown.permute(0, 2, 3, 1).numpy():
        engine.picture[...] = np.rint(picture * 128).astype(np.int8)
        engine.invoke()
        rows.append(dequantize(engine.scores, engine.output.quantization))
    return np.stack(rows)


def tensors(path: Path) -> dict[str, dict[str, Any]]:
    """By name; as the runtime describes them."""
    engine = TfliteEngine(path, load_runtime())
    return {detail["name"]: detail for detail in engine._interpreter.get_tensor_details()}


def stored(model: bytes) -> list[bytes]:
    """What the weights of ``model`` hold, in the order of its tensors."""
    loaded = object_api.read(model)
    indexes = [
        index
        for operator in loaded.subgraphs[0].operators
        for index in operator.inputs[1:]
        if loaded.buffers[loaded.subgraphs[0].tensors[index].buffer].data is not None
    ]
    found = (loaded.subgraphs[0].tensors[index].buffer for index in indexes)
    return [bytes(loaded.buffers[buffer].data) for buffer in found]


def operators(path: Path) -> Counter[str]:
    return Counter(operator.name for operator in TfliteEngine(path, load_runtime()).operators())


def test_mobilenet_has_no_operator_but_the_expected_ones(tints: Exported) -> None:
    assert operators(tints.path) == {
        "CONV_2D": 35,
        "DEPTHWISE_CONV_2D": 17,
        "ADD": 10,
        "MEAN": 1,
        "FULLY_CONNECTED": 1,
        "SOFTMAX": 1,
    }
    assert problems(tints.path) == []
    # With it a pixel enters by the turn of one bit.
    engine = TfliteEngine(tints.path, load_runtime())
    assert engine.input.quantization == Quantization(1 / 128, 0)


def test_symmetric_padding_and_dense_head_give_their_operators(small: Exported) -> None:
    assert operators(small.path) == {
        "PAD": 2,
        "CONV_2D": 5,
        "DEPTHWISE_CONV_2D": 2,
        "ADD": 1,
        "MEAN": 1,
        "FULLY_CONNECTED": 3,
        "SOFTMAX": 1,
    }
    assert problems(small.path) == []


@pytest.mark.parametrize("which", ["tints", "small"])
def test_each_tensor_has_scale_and_zero_point_of_training(
    which: str, request: pytest.FixtureRequest
) -> None:
    made: Exported = request.getfixturevalue(which)
    details = tensors(made.path)
    names = activation_names(made.model)
    moved = [name for name in names if not name.startswith(("pad", "probabilities"))]
    found = [details[name]["quantization"] for name in moved]
    learned = [
        tuple(part.item() for part in quantizer.grid())
        for quantizer in qat.activation_quantizers(made.prepared)
    ]
    assert found == learned
    assert found[0] == (1 / 128, 0)
    assert details["probabilities"]["quantization"] == (1 / 256, -128)


def test_padding_has_the_range_of_what_it_pads(small: Exported) -> None:
    details = tensors(small.path)
    assert details["pad_0"]["quantization"] == details["picture"]["quantization"]


def test_convolutions_have_a_scale_a_channel_and_dense_layers_one(small: Exported) -> None:
    # From the file itself: the runtime spreads a dense layer's scale over its channels.
    graph = object_api.read(small.model).subgraphs[0]
    found: dict[str, set[int]] = {}
    for tensor in graph.tensors:
        name = tensor.name.decode()
        if name.endswith("/weights"):
            kind = name.rpartition("_")[0]
            found.setdefault(kind, set()).add(len(tensor.quantization.scale))
    assert found == {"conv_2d": {8, 16}, "depthwise_conv_2d": {16}, "fully_connected": {1}}


def test_weights_in_the_file_are_those_of_training(tints: Exported) -> None:
    layer = qat.strip(tints.prepared).features[0][0]
    rounded = tints.prepared.features[0][0].quantizer(layer.weight)
    scale = layer.weight.detach().abs().amax((1, 2, 3), keepdim=True) / 127
    integers = torch.round(rounded / scale).permute(0, 2, 3, 1).to(torch.int8)
    assert stored(tints.model)[0] == integers.numpy().tobytes()


def test_file_agrees_with_the_network_that_was_trained(tints: Exported) -> None:
    shown, truth = photographs(150, seed=1000)
    with torch.no_grad():
        trained = torch.softmax(tints.prepared(shown), 1).numpy()
    found = scores(tints.path, shown)
    assert (found.argmax(1) == trained.argmax(1)).mean() >= 0.97
    # An agreement that means something: all classes occur, and training has learned them.
    assert (trained.argmax(1) == truth.numpy()).mean() > 0.9


def test_file_at_another_temperature_stores_the_same(tints: Exported, tmp_path: Path) -> None:
    shown, _ = photographs(30, seed=2000)
    with torch.no_grad():
        logits = tints.prepared(shown)
    # At this temperature no class has less than e^-2 of what the best has, however sure the network
    # is: smaller scores are stored too coarsely to take their logarithm.
    first = float((logits.amax(1) - logits.amin(1)).max()) / 2
    plain, other = (
        exported(
            convert.apply_temperature(tints.prepared, temperature),
            tmp_path / f"{temperature}.tflite",
        )
        for temperature in (first, first * TEMPERATURE)
    )
    assert stored(plain.model) == stored(other.model) == stored(tints.model)
    before, after = scores(plain.path, shown), scores(other.path, shown)
    expected = torch.softmax(torch.from_numpy(np.log(before) / TEMPERATURE), 1).numpy()
    assert np.abs(after - expected).max() < 0.03
    # What is more likely stays so; a difference may round to none.
    more = after[:, :, None] > after[:, None, :]
    assert (before[:, :, None] >= before[:, None, :])[more].all()


def folded(*, prepare: bool) -> tuple[nn.Module, Tensor]:
    """A network of three classes, with ranges that do not round yet if wanted; what it is shown."""
    network = MobileNetV2(0.35).eval()
    network.classifier = base.dense_head(network.outputs, 3)
    shown = photographs(3, seed=0)[0]
    plain: nn.Module = qat.fold(network)
    if prepare:
        plain = qat.prepare(plain)
        qat.observe_only(plain, True)
        plain(shown)
    return plain, shown


@pytest.mark.parametrize("prepare", [False, True])
def test_apply_temperature_divides_logits_and_leaves_the_network_itself(prepare: bool) -> None:
    plain, shown = folded(prepare=prepare)
    before = plain(shown)
    assert torch.allclose(convert.apply_temperature(plain, 2.0)(shown), before / 2, atol=1e-5)
    assert torch.equal(plain(shown), before)


def test_ranges_that_do_not_fit_the_graph_are_refused(small: Exported) -> None:
    ranges = qat.learned_ranges(small.prepared)[1:]
    with pytest.raises(ModelError, match=r"13 activations .* 12 ranges.*CONV_2D"):
        ranges_by_name(small.original, ranges)


def test_file_carries_contract_labels_and_card(tints: Exported) -> None:
    bundle = read_bundle(tints.path)
    assert bundle["labels.txt"] == b"red\ngreen\nblue\n"
    assert "绿" in bundle["contract.json"].decode()
    assert bundle["model_card.md"] == b"# Tints\n"
    assert "taxonomy.tsv" not in bundle


def test_file_carries_the_taxonomy_of_its_labels(tmp_path: Path) -> None:
    taxonomy = parse_taxonomy("name,parent,zh\nwarm,,暖色\nred,warm", CONTRACT.labels)
    model = tiny.build(tmp_path / "tiny.tflite").read_bytes()
    path = tmp_path / "model.tflite"
    pack(model, path, replace(CONTRACT, taxonomy=taxonomy), "# Tints\n")
    text = read_bundle(path)["taxonomy.tsv"].decode()
    assert parse_taxonomy(text, CONTRACT.labels) == taxonomy


def test_post_training_quantization_of_the_same_network_works(
    tints: Exported, tmp_path: Path
) -> None:
    shown = photographs(24, seed=3000)[0]
    pixels = (shown.permute(0, 2, 3, 1).numpy() * 128 + 128).astype(np.uint8)
    inputs = convert.real_inputs(map(Frame, pixels), CONTRACT)
    ranges = convert.calibrate(tints.original, inputs)
    pack(convert.quantize(tints.original, ranges), tmp_path / "ptq.tflite", CONTRACT, "")
    assert problems(tmp_path / "ptq.tflite") == []


def test_float_model_is_not_written_and_leaves_the_old_file(
    small: Exported, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    with pytest.raises(ModelError, match=r"not written: .*CONV_2D uses float32"):
        pack(small.original, path, CONTRACT, "")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_the_old_file(small: Exported, tmp_path: Path) -> None:
    with smalldisk.tmpfs(tmp_path / "disk", "1m") as folder:
        path = folder / "model.tflite"
        path.write_bytes(b"old")
        smalldisk.fill(folder)
        with pytest.raises(OutputError, match=r"model\.tflite: cannot be written"):
            pack(small.model, path, CONTRACT, "")
        assert path.read_bytes() == b"old"
        assert sorted(found.name for found in folder.iterdir()) == ["filler", "model.tflite"]


KILLED = """
import os, signal, sys
from pathlib import Path
from edge_classifier.core.contract import Contract
from edge_classifier import model_writing
# Killed where a power cut would hurt most: all is written, nothing is in its place.
model_writing.problems = lambda path: os.kill(os.getpid(), signal.SIGKILL)
model_writing.pack(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), Contract(96, 96), "")
"""


def test_killed_export_leaves_the_old_file_and_the_next_one_succeeds(
    small: Exported, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    (tmp_path / "model").write_bytes(small.model)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "model"), str(path)]
    done = subprocess.run(command, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    pack(small.model, path, CONTRACT, "")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["model", "model.tflite"]
