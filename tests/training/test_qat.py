"""A network is folded, prepared, trained with rounding and stripped without losing anything."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edge_classifier.errors import ModelError
from edge_classifier.training import qat
from edge_classifier.training.networks import base
from edge_classifier.training.networks.base import Convnet
from edge_classifier.training.networks.blocks import InvertedResidual, Tap, activated
from edge_classifier.training.networks.efficientnet_lite import EfficientNetLite0
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def with_statistics(network: Convnet) -> Convnet:
    """``network`` with batch norm that does something, in evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.1, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
    network.eval()
    return network


def tiny(head: nn.Module | None = None) -> Convnet:
    blocks = [activated(3, 8, 3, 2), InvertedResidual(8, 8, 1, 2), InvertedResidual(8, 16, 2, 2)]
    network = Convnet(blocks, 16)
    network.classifier = head or base.linear_head(16, 4, 0.5)
    with_statistics(network)
    return network


def pictures(count: int = 8) -> Tensor:
    return torch.randint(-128, 128, (count, 3, 32, 32)) / 128


def learned(network: Convnet, shown: Tensor) -> nn.Module:
    """``network`` prepared, its ranges learned from one batch."""
    prepared = qat.prepare(qat.fold(network))
    qat.observe_only(prepared, True)
    with torch.no_grad():
        prepared(shown)
    qat.observe_only(prepared, False)
    return prepared


def test_fold_leaves_what_the_network_says_and_the_network_itself() -> None:
    network, shown = tiny(), pictures()
    before = copy.deepcopy(network.state_dict())
    folded = qat.fold(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert torch.allclose(folded(shown), network(shown), atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("trainable", [True, False])
def test_fold_makes_biases_as_trainable_as_their_weights(trainable: bool) -> None:
    folded = qat.fold(tiny().requires_grad_(trainable))
    assert {parameter.requires_grad for parameter in folded.parameters()} == {trainable}
    assert "features.0.0.bias" in dict(folded.named_parameters())


NETWORKS: dict[str, tuple[Callable[[], Convnet], int]] = {
    # what is stored: 1 + 35 + 17 convolutions of 52, 10 sums, the mean, the logits
    "MobileNetV2": (lambda: MobileNetV2(0.35), 65),
    "EfficientNet-Lite0": (EfficientNetLite0, 61),
}


@pytest.mark.parametrize(("build", "count"), NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize(("dense", "more"), [(False, 0), (True, 2)])
def test_prepare_puts_a_quantizer_at_each_tensor_in_execution_order(
    build: Callable[[], Convnet], count: int, dense: bool, more: int
) -> None:
    network = build()
    head = base.dense_head(network.outputs, 3) if dense else base.linear_head(network.outputs, 3)
    network.classifier = head
    prepared = learned(with_statistics(network), pictures(2))
    found = qat.activation_quantizers(prepared)
    assert [quantizer.position for quantizer in found] == list(range(count + more))
    assert executed(prepared) == found
    assert found[0] is prepared.entry.quantizer
    assert isinstance(prepared.entry.value, Tap)
    assert qat.learned_ranges(prepared)[0] == (-1.0, 127 / 128)


def executed(prepared: nn.Module) -> list[nn.Module]:
    order: list[nn.Module] = []
    for quantizer in qat.activation_quantizers(prepared):
        quantizer.register_forward_pre_hook(lambda module, _: order.append(module))
    prepared(pictures(1))
    return order


def test_quantizer_goes_behind_the_activation_that_fuses() -> None:
    prepared = learned(tiny(base.dense_head(16, 4)), pictures())
    lows = [low for low, _ in qat.learned_ranges(prepared)]
    # input, stem, (expand, depthwise, project, sum), (expand, depthwise, project), mean, dense
    rectified = [False, True, True, True, False, False, True, True, False, False, True, True, False]
    assert [low == 0 for low in lows] == rectified


def test_rounding_changes_what_the_network_says_a_little() -> None:
    network, shown = tiny(), pictures()
    difference = (learned(network, shown)(shown) - network(shown)).abs().max()
    assert 0 < difference < 0.2


def test_observing_only_rounds_nothing_and_learns_in_evaluation_mode() -> None:
    folded, shown = qat.fold(tiny()), pictures()
    prepared = qat.prepare(folded)
    assert not prepared.training
    qat.observe_only(prepared, True)
    assert torch.equal(prepared(shown), folded(shown))
    assert len(qat.learned_ranges(prepared)) == 11


def test_ranges_before_any_picture_fail() -> None:
    prepared = qat.prepare(qat.fold(tiny()))
    for use in (qat.freeze_ranges, qat.learned_ranges, lambda n: n(pictures(1))):
        with pytest.raises(ModelError, match=r"activation 1: .*observe pictures first"):
            use(prepared)


def test_frozen_ranges_stay_while_weights_are_trained() -> None:
    prepared = learned(tiny(), pictures()).train()
    qat.freeze_ranges(prepared)
    before = qat.learned_ranges(prepared)
    optimizer = torch.optim.Adam(prepared.parameters(), 0.01)
    start = [parameter.detach().clone() for parameter in prepared.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(prepared(pictures()), torch.arange(8) % 4).backward()
        optimizer.step()
    assert qat.learned_ranges(prepared) == before
    moved = [
        not torch.equal(old, new) for old, new in zip(start, prepared.parameters(), strict=True)
    ]
    assert all(moved)


def test_input_range_is_never_learned() -> None:
    prepared = learned(tiny(), pictures()).train()
    prepared(pictures() * 5)
    assert qat.learned_ranges(prepared)[0] == qat.INPUT_RANGE


def test_checkpoint_carries_ranges_and_phase() -> None:
    network, shown = tiny(), pictures()
    prepared = learned(network, shown)
    qat.freeze_ranges(prepared)
    other = qat.prepare(qat.fold(network))
    other.load_state_dict(copy.deepcopy(prepared.state_dict()))
    assert torch.equal(other(shown), prepared(shown))
    other.train()(shown * 3)
    assert qat.learned_ranges(other) == qat.learned_ranges(prepared)


def test_strip_gives_back_the_folded_network_with_the_weights_as_trained() -> None:
    folded, shown = qat.fold(tiny()), pictures()
    prepared = learned(tiny(), shown)
    with torch.no_grad():
        for parameter in prepared.parameters():
            parameter.mul_(1.5)
    rounded = prepared(shown)
    plain = qat.strip(prepared)
    assert list(plain.state_dict()) == list(folded.state_dict())
    assert [type(module) for module in plain.modules()] == [type(m) for m in folded.modules()]
    trained = [parameter.tolist() for parameter in prepared.parameters()]
    assert [parameter.tolist() for parameter in plain.parameters()] == trained
    assert torch.equal(prepared(shown), rounded)


def learn_a_share(rank: int, world: int, folder: Path) -> None:
    """Show a network every ``world``-th picture, all processes together all of them."""
    meeting = (folder / "meeting").as_uri()
    torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=world)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    prepared = qat.prepare(qat.fold(tiny()))
    # With rounding, a difference in the last bit may become one of a whole step.
    qat.observe_only(prepared, True)
    for _ in range(3):
        prepared(pictures()[rank::world])
    torch.save(qat.learned_ranges(prepared), folder / f"{world}-{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_with_half_of_each_batch_learn_the_ranges_of_one(tmp_path: Path) -> None:
    for world in (1, 2):
        (tmp_path / "meeting").unlink(missing_ok=True)
        torch.multiprocessing.spawn(learn_a_share, (world, tmp_path), nprocs=world)
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    assert first == second
    # The same but for the last bits: kernels differ with the size of the batch.
    assert torch.allclose(torch.tensor(first), torch.tensor(alone), rtol=1e-5, atol=1e-6)
