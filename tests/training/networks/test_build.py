"""The networks and their heads, from the settings to a network with weights."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edge_classifier import samples
from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.errors import ConfigurationError, MissingFileError, ModelError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.catalogue import embedded_folder
from edge_classifier.training import settings
from edge_classifier.training.export import convert
from edge_classifier.training.networks import NETWORKS, build, problems, provenance, published
from edge_classifier.training.networks.blocks import Tap
from edge_classifier.training.networks.efficientnet_lite import load_imagenet
from edge_classifier.vision.pictures import load_picture

SMALL = settings.NetworkSettings(name="mobilenet-v2", width=0.35, size=96, pretrained="none")
LITE = settings.NetworkSettings(name="efficientnet-lite0", size=96, pretrained="none")


CONTRACT = Contract(224, 224)


def photographs() -> list[Frame]:
    """The five that every installation has."""
    return [load_picture(str(path)).frame for path in sorted(samples.FOLDER.glob("*.jpg"))]


def picture(side: int = 64, count: int = 2) -> Tensor:
    """Random pixels as a network sees them, (count, 3, side, side)."""
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=generator)
    return (pixels - 128) / 128


@pytest.mark.parametrize(("chosen", "features", "blocks"), [(SMALL, 1280, 19), (LITE, 1280, 18)])
def test_build_every_network_has_features_blocks_and_logits(
    chosen: settings.NetworkSettings, features: int, blocks: int
) -> None:
    network = build(chosen, 5).eval()
    assert isinstance(network, NETWORKS[chosen.name])
    assert network.outputs == features
    assert len(network.blocks()) == blocks
    with torch.inference_mode():
        pooled = network.pooled(picture())
        assert pooled.shape == (2, features)
        assert torch.equal(network.classifier(pooled), network(picture()))
        assert network(picture()).shape == (2, 5)


@pytest.mark.parametrize(("chosen", "additions"), [(SMALL, 10), (LITE, 9)])
def test_build_every_network_has_a_tap_after_each_addition_the_entry_and_the_pool(
    chosen: settings.NetworkSettings, additions: int
) -> None:
    calls: list[nn.Module] = []
    network = build(chosen, 5).eval()
    for module in network.modules():
        if isinstance(module, Tap):
            module.register_forward_hook(lambda tap, *_: calls.append(tap))
    with torch.inference_mode():
        network(picture(32, 1))
    assert len(calls) == additions + 2
    assert calls[0] is network.entry
    assert calls[-1] is network.pool


def test_build_mobilenet_v2_has_the_keys_of_torchvisions() -> None:
    keys = build(SMALL, 5).state_dict().keys()
    assert {
        "features.0.0.weight",
        "features.0.1.running_mean",
        "features.1.conv.0.0.weight",
        "features.1.conv.1.weight",
        "features.1.conv.2.running_var",
        "features.17.conv.0.1.bias",
        "features.17.conv.1.0.weight",
        "features.17.conv.2.weight",
        "features.17.conv.3.weight",
        "features.18.0.weight",
        "classifier.1.weight",
        "classifier.1.bias",
    } <= keys
    assert len(keys) == 314  # torchvision.models.mobilenet_v2().state_dict()


def test_build_a_dense_head_has_layers_of_1024_and_256() -> None:
    network = build(
        settings.NetworkSettings(name="mobilenet-v2", width=0.35, pretrained="none", head="dense"),
        5,
    )
    layers = [layer for layer in network.classifier if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in layers] == [1024, 256, 5]


def test_build_a_linear_head_drops_the_share_that_is_asked_for() -> None:
    network = build(
        settings.NetworkSettings(name="mobilenet-v2", width=0.35, pretrained="none", dropout=0.4), 5
    )
    assert network.classifier[0].p == 0.4


def test_build_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, second, other = (build(SMALL, 5, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["features.0.0.weight"], other["features.0.0.weight"])
    assert not torch.equal(first["classifier.1.weight"], other["classifier.1.weight"])


def test_build_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    build(SMALL, 5)
    assert torch.equal(torch.rand(3), expected)


def test_build_the_embedded_weights_tell_pictures_apart_as_trained_features_do() -> None:
    """Features of a picture and of its mirror image agree more than those of two pictures."""
    network = build(settings.NetworkSettings(name="mobilenet-v2", size=224), 5).eval()
    inputs = convert.real_inputs(photographs()[:2], CONTRACT)
    first, second = (torch.from_numpy(item) for item in inputs)
    batch = torch.cat([first, first.flip(2), second]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        features = network.pooled(batch)
    same, different = (torch.cosine_similarity(features[0], features[i], 0) for i in (1, 2))
    assert same > 0.85
    assert different < 0.6


def test_embedded_weights_damaged_is_refused(tmp_path: Path) -> None:
    found = published.embedded_weights(embedded_folder())
    copy = tmp_path / found.name
    shutil.copy(found, copy)
    shutil.copy(embedded_folder() / "catalogue.toml", tmp_path)
    assert published.embedded_weights(tmp_path) == copy
    copy.write_bytes(copy.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        published.embedded_weights(tmp_path)


def test_load_imagenet_efficientnet_sees_what_the_embedded_int8_model_sees() -> None:
    network, model = load_imagenet(), load_model(ModelChoice())
    labels = model.resolved.contract.labels
    classifier = model.classifier(AnswerOptions())
    frames = photographs()
    agreed = 0
    for frame, item in zip(frames, convert.real_inputs(frames, CONTRACT), strict=True):
        with torch.inference_mode():
            logits = network(torch.from_numpy(item).permute(0, 3, 1, 2))
        agreed += labels[int(logits.argmax())] == classifier.classify(frame).predictions[0].label
    assert agreed >= len(frames) - 1


def test_build_efficientnet_embedded_has_imagenets_features_and_a_new_head() -> None:
    network = build(settings.NetworkSettings(name="efficientnet-lite0"), 5)
    stem = "features.0.0.weight"
    assert torch.equal(network.state_dict()[stem], load_imagenet().state_dict()[stem])
    assert network.classifier[1].out_features == 5


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            settings.NetworkSettings(name="mobilenet-v2", width=0.5),
            ["width is 0.5", "embedded", "Keras"],
        ),
        (
            settings.NetworkSettings(name="mobilenet-v2", width=1.4, pretrained="imagenet"),
            ["width is 1.4", "imagenet"],
        ),
        (
            settings.NetworkSettings(name="efficientnet-lite0", width=0.5, pretrained="imagenet"),
            ["width is 0.5", "pretrained is imagenet"],
        ),
        (
            settings.NetworkSettings(name="efficientnet-lite0", pretrained="some.pth"),
            ["pretrained is some.pth"],
        ),
    ],
)
def test_build_settings_that_do_not_go_together_are_all_named(
    chosen: settings.NetworkSettings, said: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(chosen, 5)
    assert all(part in str(caught.value) for part in said)
    assert "\n".join(problems(chosen)) == caught.value.problem


def test_build_a_checkpoint_that_is_not_there_says_what_pretrained_takes() -> None:
    with pytest.raises(MissingFileError, match="embedded, imagenet, none or the path"):
        build(settings.NetworkSettings(name="mobilenet-v2", pretrained="imagnet"), 5)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (settings.NetworkSettings(name="mobilenet-v2"), ["MobileNetV2", "Google", "Apache"]),
        (
            settings.NetworkSettings(name="mobilenet-v2", pretrained="imagenet"),
            ["torchvision", "BSD", "b0353104"],
        ),
        (settings.NetworkSettings(name="mobilenet-v2", pretrained="none"), ["random"]),
        (settings.NetworkSettings(name="efficientnet-lite0"), ["EfficientNet-Lite0", "Apache"]),
    ],
)
def test_provenance_names_source_and_licence(
    chosen: settings.NetworkSettings, said: list[str]
) -> None:
    notice = provenance(chosen)
    assert notice.startswith("- ")
    assert all(part in notice for part in said)


def test_provenance_of_a_file_gives_its_hash_and_not_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(b"")
    notice = provenance(settings.NetworkSettings(name="mobilenet-v2", pretrained=str(path)))
    assert "mine.pth, SHA-256 e3b0c44298fc1c14" in notice
    assert str(tmp_path) not in notice
