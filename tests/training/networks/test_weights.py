"""Checkpoints of other programs in this project's MobileNetV2."""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from edge_classifier.errors import ModelError
from edge_classifier.training import settings
from edge_classifier.training.networks import base, build, weights
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2
from tests.training.networks.timm_like import timm_like, timm_logits
from tests.training.networks.torchvision_like import (
    CLASSES,
    WIDTH,
    State,
    assert_same,
    shape,
    torchvision_like,
    trained,
    without_counts,
)


def chosen(path: Path, width: float = WIDTH) -> settings.NetworkSettings:
    return settings.NetworkSettings(name="mobilenet-v2", width=width, size=96, pretrained=str(path))


def pixels() -> Tensor:
    """Two random pictures, (2, 3, 96, 96), 0 to 255."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (2, 3, 96, 96), generator=generator).float()


def assert_sees_alike(built: MobileNetV2, source: MobileNetV2, theirs: Tensor) -> None:
    """The first layer agrees but for the picture's edge, and all behind it agrees."""
    with torch.inference_mode():
        expected, seen = source.features[0](theirs), built.features[0]((pixels() - 128) / 128)
        inside = (..., slice(1, -1), slice(1, -1))
        torch.testing.assert_close(seen[inside], expected[inside], rtol=1e-4, atol=1e-5)
        assert torch.equal(behind_first(built, expected), behind_first(source, expected))


def behind_first(network: MobileNetV2, x: Tensor) -> Tensor:
    """The first layer's output to logits."""
    return network.classifier(network.features[1:](x).mean((2, 3)))


def test_build_a_torchvision_checkpoint_sees_pixels_as_torchvision_does(tmp_path: Path) -> None:
    source = torchvision_like()
    torch.save(source.state_dict(), tmp_path / "a.pth")
    built = build(chosen(tmp_path / "a.pth"), CLASSES).eval()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    assert_sees_alike(built, source, (pixels() / 255 - mean) / std)


@pytest.mark.parametrize("std", [128.0, 57.5])
def test_load_input_whose_middle_is_ours_gives_the_same_logits_at_any_scale(std: float) -> None:
    """Zeros beyond the edge then mean the same pixel, so nothing differs."""
    source = torchvision_like()
    family = replace(weights.TORCHVISION, mean=(128.0,) * 3, std=(std, std, std))
    built = MobileNetV2(WIDTH, family.padding, family.eps)
    built.classifier = base.linear_head(built.outputs, CLASSES)
    weights.load(built, weights.Checkpoint("x", source.state_dict(), family), WIDTH, fail)
    with torch.inference_mode():
        expected = source((pixels() - 128) / std)
        torch.testing.assert_close(
            built.eval()((pixels() - 128) / 128), expected, rtol=1e-3, atol=1e-3
        )


def fail(said: str) -> None:
    """For checkpoints of which all is used."""
    raise AssertionError(said)


def saved(state: State) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """All files that a state dict may come in."""
    yield "plain.pth", lambda path: torch.save(state, path)
    yield "old.pt", lambda path: torch.save(state, path, _use_new_zipfile_serialization=False)
    yield "whole.pth", lambda path: torch.save({"epoch": 3, "state_dict": state}, path)
    yield "model.pth.tar", lambda path: torch.save({"model": state}, path)
    parallel = {f"module.{name}": tensor for name, tensor in state.items()}
    yield "parallel.pth", lambda path: torch.save(parallel, path)
    yield "a.safetensors", lambda path: safetensors.torch.save_file(state, path)


@pytest.mark.parametrize("place", range(6))
def test_read_every_kind_of_file_gives_the_same_tensors(tmp_path: Path, place: int) -> None:
    state = without_counts(torchvision_like())
    name, save = list(saved(state))[place]
    save(tmp_path / name)
    read = weights.read(tmp_path / name)
    assert read.family == weights.TORCHVISION
    assert_same(read.tensors, state)


def test_build_a_timm_checkpoint_is_read_by_name_and_not_by_order(tmp_path: Path) -> None:
    source = timm_like(WIDTH, CLASSES)
    trained(source)
    state = dict(sorted(source.state_dict().items(), reverse=True))
    torch.save(state, tmp_path / "a.pth")
    read = weights.read(tmp_path / "a.pth")
    assert read.family == weights.TORCHVISION
    for name, stem in (
        ("features.0.0.weight", "conv_stem.weight"),
        ("features.0.1.bias", "bn1.bias"),
    ):
        assert torch.equal(read.tensors[name], state[stem])
    built = build(chosen(tmp_path / "a.pth"), CLASSES, log=fail).eval()
    x = torch.rand(1, 16, 48, 48)
    source["conv_stem"] = source["bn1"] = nn.Identity()  # Only what follows is run.
    with torch.inference_mode():
        torch.testing.assert_close(behind_first(built, x), timm_logits(source, x))


def keras_names() -> list[str]:
    """Layers of keras.applications.MobileNetV2 with weights, in order, written out."""
    blocks = ["expanded_conv_depthwise", "expanded_conv_project"]
    for block in range(1, 17):
        blocks += [f"block_{block}_{part}" for part in ("expand", "depthwise", "project")]
    names = ["Conv1", "bn_Conv1"]
    for block_name in blocks:
        names += [block_name, f"{block_name}_BN"]
    return [*names, "Conv_1", "Conv_1_bn"]


def keras_layers(network: MobileNetV2) -> dict[str, dict[str, np.ndarray]]:
    """The network's weights as Keras has them: layer to arrays by name, in Keras's layout."""
    layers = [m for m in network.features.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for name, layer in zip(keras_names(), layers, strict=True):
        if isinstance(layer, nn.Conv2d):
            kernel = layer.weight.detach().numpy()
            order = (2, 3, 0, 1) if layer.groups > 1 else (2, 3, 1, 0)
            arrays[name] = {"kernel": kernel.transpose(order)}
            assert ("depthwise" in name) == (layer.groups > 1)
        else:
            parts = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            kinds = ("gamma", "beta", "moving_mean", "moving_variance")
            values = [part.detach().numpy() for part in parts]
            arrays[name] = dict(zip(kinds, values, strict=True))
    head = network.classifier[1]
    arrays["predictions"] = {
        "kernel": head.weight.detach().numpy().T,
        "bias": head.bias.detach().numpy(),
    }
    return arrays


Layers = dict[str, dict[str, np.ndarray]]


def write_keras_2(layers: Layers, path: Path) -> None:
    """As Keras 2 saves weights: a group a layer, twice, and ":0" behind each name."""
    with h5py.File(path, "w") as file:
        for layer, arrays in layers.items():
            for name, array in arrays.items():
                kind = "depthwise_kernel" if "depthwise" in layer and name == "kernel" else name
                file[f"{layer}/{layer}/{kind}:0"] = array


def write_nested(layers: Layers, path: Path) -> None:
    """As Keras saves a whole model around MobileNetV2, with the optimizer's numbers."""
    with h5py.File(path, "w") as file:
        file["optimizer_weights/adam/Conv1/kernel"] = np.zeros((3, 3, 3, 8), np.float32)
        for layer, arrays in layers.items():
            for name, array in arrays.items():
                file[f"model_weights/mobilenetv2_0.35_96/{layer}/{name}"] = array


def write_keras_3(layers: Layers, path: Path) -> None:
    """As Keras 3 saves: numbered arrays, in groups named by class, the name as an attribute."""
    with h5py.File(path, "w") as file:
        for place, (layer, arrays) in enumerate(layers.items()):
            group = file.create_group(f"layers/functional/layers/layer_{place}/vars")
            group.attrs["name"] = layer
            for number, array in enumerate(arrays.values()):
                group[str(number)] = array


def write_zip(layers: Layers, path: Path) -> None:
    """As Keras 3 saves a whole model."""
    write_keras_3(layers, path.with_suffix(".weights"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(path.with_suffix(".weights"), "model.weights.h5")


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_keras_2, "a.h5"),
        (write_nested, "b.hdf5"),
        (write_keras_3, "c.weights.h5"),
        (write_zip, "d.keras"),
    ],
)
def test_read_every_kind_of_keras_file_gives_the_networks_tensors(
    tmp_path: Path, write: Callable[[Layers, Path], None], name: str
) -> None:
    source = torchvision_like()
    write(keras_layers(source), tmp_path / name)
    read = weights.read(tmp_path / name)
    assert read.family == weights.KERAS
    assert_same(read.tensors, without_counts(source))


def test_build_a_keras_checkpoint_sees_pixels_as_keras_does(tmp_path: Path) -> None:
    source = MobileNetV2(WIDTH)
    source.classifier = base.linear_head(source.outputs, CLASSES)
    trained(source)
    write_keras_2(keras_layers(source), tmp_path / "a.h5")
    built = build(chosen(tmp_path / "a.h5"), CLASSES, log=fail).eval()
    assert_sees_alike(built, source, pixels() / 127.5 - 1)


def test_build_padding_and_eps_follow_the_checkpoint(tmp_path: Path) -> None:
    """The very same numbers mean another network in the other family."""
    source = torchvision_like()
    torch.save(source.state_dict(), tmp_path / "a.pth")
    write_keras_2(keras_layers(source), tmp_path / "a.h5")
    first, second = (build(chosen(tmp_path / name), CLASSES).eval() for name in ("a.pth", "a.h5"))
    x = torch.rand(1, 16, 48, 48)
    with torch.inference_mode():
        assert torch.equal(behind_first(first, x), behind_first(source, x))
        assert not torch.allclose(behind_first(second, x), behind_first(source, x), rtol=0.1)


def test_read_keras_weights_of_another_network_name_the_layers_that_lack(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["conv1_conv/conv1_conv/kernel:0"] = np.zeros((7, 7, 3, 64), np.float32)
    with pytest.raises(ModelError, match=r"not a MobileNetV2 of Keras.*ResNet.*such as Conv1"):
        weights.read(tmp_path / "a.h5")


def test_build_a_head_of_another_number_of_classes_is_left_out_with_a_word(
    tmp_path: Path,
) -> None:
    source, said = torchvision_like(classes=7), list[str]()
    torch.save(source.state_dict(), tmp_path / "a.pth")
    built = build(chosen(tmp_path / "a.pth"), CLASSES, log=said.append)
    assert built.classifier[1].out_features == CLASSES
    assert len(said) == 1
    assert "head for 7 classes is left out" in said[0]
    block = "features.17.conv.2.weight"
    assert torch.equal(built.state_dict()[block], source.state_dict()[block])


def test_build_a_head_of_as_many_classes_is_kept_without_a_word(tmp_path: Path) -> None:
    source = torchvision_like()
    torch.save(source.state_dict(), tmp_path / "a.pth")
    built = build(chosen(tmp_path / "a.pth"), CLASSES, log=fail)
    assert torch.equal(built.classifier[1].weight, source.classifier[1].weight)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"conv1.weight": shape(64, 3, 7, 7), "layer1.0.conv1.weight": shape(1)}, "a ResNet"),
        ({"features.0.weight": shape(64, 3, 3, 3)}, "a VGG"),
        ({"cls_token": shape(1, 1, 8)}, "a vision transformer"),
        ({"conv_stem.weight": shape(32, 3, 3, 3), "blocks.0.0.se.x": shape(1)}, "timm"),
        ({"a": shape(1), "b": shape(1)}, "2 tensors called a, b"),
    ],
)
def test_build_a_checkpoint_of_another_architecture_says_what_it_looks_like(
    tmp_path: Path, state: State, said: str
) -> None:
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ModelError) as caught:
        build(chosen(tmp_path / "a.pth"), CLASSES)
    assert said in caught.value.problem
    assert "is not a MobileNetV2" in caught.value.problem
    assert "MobileNetV2 of width 0.35 is wanted" in str(caught.value)


def test_build_a_training_runs_own_checkpoint_is_sent_to_resume(tmp_path: Path) -> None:
    state = {f"network.{name}": tensor for name, tensor in torchvision_like().state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="--resume"):
        build(chosen(tmp_path / "a.pt"), CLASSES)


def test_build_a_checkpoint_of_another_width_says_which(tmp_path: Path) -> None:
    torch.save(torchvision_like(0.5).state_dict(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"of width 0\.5.*of width 0\.35 is wanted"):
        build(chosen(tmp_path / "a.pth"), CLASSES)
    torch.save(torchvision_like(0.6).state_dict(), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"unknown width \(24 channels"):
        build(chosen(tmp_path / "a.pth"), CLASSES)


def test_load_a_checkpoint_that_does_not_fit_changes_nothing() -> None:
    network = torchvision_like()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = without_counts(torchvision_like(0.5))
    for wrong in (state, dict(list(without_counts(network).items())[:-20])):
        with pytest.raises(ModelError):
            weights.load(network, weights.Checkpoint("x", wrong, weights.TORCHVISION), WIDTH, fail)
    assert_same(network.state_dict(), before)


def damaged(content: bytes) -> Iterator[bytes]:
    """What may become of a file."""
    yield b""
    yield b"no checkpoint at all"
    yield content[: len(content) // 2]
    yield content[:64] + bytes(len(content) - 64)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".h5", ".keras"])
def test_read_a_damaged_file_is_a_model_error(tmp_path: Path, suffix: str, place: int) -> None:
    path, source = tmp_path / f"a{suffix}", torchvision_like()
    if suffix == ".pth":
        torch.save(source.state_dict(), path)
    elif suffix == ".safetensors":
        safetensors.torch.save_file(without_counts(source), path)
    else:
        (write_zip if suffix == ".keras" else write_keras_2)(keras_layers(source), path)
    path.write_bytes(list(damaged(path.read_bytes()))[place])
    with pytest.raises(ModelError):
        weights.read(path)


class Rogue:
    """Unpickling it would run a program."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return io.StringIO, ("ran",)


@pytest.mark.parametrize("content", [Rogue(), 3, {"epoch": 3}, nn.Linear(1, 1)])
def test_read_a_pickle_without_a_state_dict_is_a_model_error(
    tmp_path: Path, content: object
) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="state dict"):
        weights.read(tmp_path / "a.pt")


def test_read_a_file_of_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"\.safetensors"):
        weights.read(tmp_path / "a.onnx")
