"""Each stage does its part with what the one before it left."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_classifier.evaluation.report_data import Epoch
from edge_classifier.training import networks
from edge_classifier.training.data.examples import PictureExamples, network_input
from edge_classifier.training.data.training_data import TrainingData, check_and_split, scan_folders
from edge_classifier.training.export import unknown
from edge_classifier.training.export.model_files import (
    HeldOutPredictions,
    Predictions,
    card,
    predict_held_out,
)
from edge_classifier.training.networks.base import Convnet
from edge_classifier.training.qat import fold, learned_ranges
from edge_classifier.training.settings import (
    Data,
    Finetune,
    HeadStage,
    Machine,
    NetworkSettings,
    Quantize,
    TrainingSettings,
)
from edge_classifier.training.train import stages
from edge_classifier.training.train.learning_curve import PARTS, learning_curve
from edge_classifier.training.train.plan import RunOptions
from edge_classifier.vision.preprocess import Pixels
from tests.training.shapes import SIDE, WIDTH, draw_classes, draw_other, one_thread
from tests.training.small_run import SmallRun

CPU = Machine(device="cpu", workers=0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """30 pictures, half of them to learn from."""
    folder = tmp_path_factory.mktemp("stages")
    data = Data(
        folder=draw_classes(folder / "shapes", 8),
        other=draw_other(folder / "stripes", 8),
        held_out=0.5,
    )
    return check_and_split(scan_folders(data), TrainingSettings(data=data), lambda _: None)


class Stages:
    """Jobs on the same pictures, with other settings; what they told."""

    def __init__(self, training_data: TrainingData, weights: Path, folder: Path) -> None:
        self._training_data, self._weights, self._folder = training_data, weights, folder
        self.told: list[str] = []

    def job(self, *, resume: bool = False, **settings: Any) -> stages.Job:
        network = NetworkSettings(
            name="mobilenet-v2", width=WIDTH, size=SIDE, pretrained=str(self._weights)
        )
        options = RunOptions(folder=self._folder, device="cpu", workers=0, resume=resume)
        whole = TrainingSettings(network=network, machine=CPU, **settings)
        return stages.Job(whole, self._training_data, options, self.told.append)


@pytest.fixture
def some(training_data: TrainingData, small_run: SmallRun, tmp_path: Path) -> Stages:
    return Stages(training_data, small_run.weights, tmp_path / "run")


def build(job: stages.Job) -> Convnet:
    return networks.build(job.settings.network, 3, seed=0)


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in network.state_dict().items()}


def changed(network: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, values in state(network).items() if not values.equal(before[name])}


def test_head_learns_and_the_rest_of_the_network_stays(some: Stages) -> None:
    job = some.job(head=HeadStage(epochs=2))
    network = build(job)
    before = state(network)
    history = stages.train_head(job, network)
    assert [epoch.number for epoch in history] == [1, 2]
    assert changed(network, before) == {"classifier.1.weight", "classifier.1.bias"}
    assert (job.options.folder / "checkpoints/head-best.ckpt").exists()


def test_features_are_what_the_head_is_given_of_each_picture(some: Stages) -> None:
    job = some.job()
    network = build(job).eval()
    learn, held = stages.features(job, network)
    outputs, labels = held.computed
    assert outputs.shape == (len(job.data.held.samples), 1280)
    assert labels.tolist() == [sample.label for sample in job.data.held.samples]
    assert len(learn) == len(job.data.learn.samples)
    assert isinstance(network.classifier, nn.Sequential), "it has its head again"
    with torch.no_grad():
        shown = network_input(job.held_out[0, 3][0][None])
        expected = network.pooled(shown)[0].numpy()
    np.testing.assert_allclose(held[0, 3][0].numpy(), expected, atol=1e-4)


def test_stage_that_has_ended_computes_no_features_again(some: Stages) -> None:
    head = HeadStage(epochs=1)
    first = build(some.job())
    stages.train_head(some.job(head=head), first)

    again = build(some.job())
    again.features = nn.Identity()  # What goes through it would not fit the head.
    stages.train_head(some.job(resume=True, head=head), again)
    assert torch.equal(again.classifier[1].weight, first.classifier[1].weight)


@pytest.mark.parametrize(("count", "first"), [(0, 19), (2, 17), (100, 0), (-1, 0)])
def test_finetune_trains_as_many_blocks_as_it_is_told(count: int, first: int, some: Stages) -> None:
    job = some.job(finetune=Finetune(epochs=1, unfreeze=count))
    network = build(job)
    before = state(network)
    stages.finetune(job, network, ())
    blocks = {int(name.split(".")[1]) for name in changed(network, before) if "features" in name}
    assert blocks == set(range(first, 19))
    assert "classifier.1.weight" in changed(network, before)


def test_finetune_that_makes_it_worse_leaves_the_network_as_it_was(some: Stages) -> None:
    job = some.job(finetune=Finetune(epochs=1, rate=1e-6))
    network = build(job)
    before = state(network)
    perfect = Epoch(
        stage="head",
        number=1,
        seconds=0,
        rate=0,
        train_loss=0,
        train_accuracy=1,
        held_loss=0,
        held_accuracy=1,
    )
    history = stages.finetune(job, network, (perfect,))
    assert len(history) == 1
    assert changed(network, before) == set()
    assert any("made it worse" in line for line in some.told)


def test_finetune_of_no_epochs_is_left_out(some: Stages) -> None:
    job = some.job(finetune=Finetune(epochs=0))
    network = build(job)
    assert stages.finetune(job, network, ()) == ()
    assert some.told == []


@pytest.mark.parametrize(("freeze_at", "stay"), [(0.0, True), (1.0, False)])
def test_ranges_stay_from_the_share_of_steps_that_is_set(
    freeze_at: float, stay: bool, some: Stages
) -> None:
    job = some.job(quantize=Quantize(epochs=1, batch=5, observe=6, freeze_at=freeze_at))
    network = build(job)
    prepared, history = stages.train_for_int8(job, network)
    # What the same pictures alone had set.
    alone, _ = stages.train_for_int8(some.job(quantize=Quantize(epochs=0, observe=6)), network)
    ranges = [learned_ranges(one) for one in (prepared, alone)]
    assert len(history) == 1
    assert (ranges[0] == ranges[1]) is stay


def test_blocks_that_fine_tuning_leaves_alone_are_left_alone_by_the_third_stage(
    some: Stages,
) -> None:
    job = some.job(finetune=Finetune(unfreeze=2), quantize=Quantize(epochs=1))
    network = fold(build(job))
    prepared, _ = stages.train_for_int8(job, network)
    before = {name.replace(".layer", ""): values for name, values in state(network).items()}
    after = {
        name.replace(".layer", "").replace(".value", ""): values
        for name, values in prepared.state_dict().items()
    }
    moved = {name for name, values in before.items() if not values.equal(after[name])}
    blocks = {int(name.split(".")[1]) for name in moved if name.startswith("features.")}
    assert blocks == {17, 18}
    assert any(name.startswith("classifier.") for name in moved)


def test_training_without_the_third_stage_prepares_nothing(some: Stages) -> None:
    job = some.job(
        head=HeadStage(epochs=1), finetune=Finetune(epochs=0), quantize=Quantize(epochs=0)
    )
    trained = stages.train(job)
    assert trained.prepared is None
    assert [epoch.stage for epoch in trained.history] == ["head"]
    predictions = predict_held_out(job, trained)
    assert predictions.rounded is None
    assert predictions.last is predictions.as_float


def test_pictures_that_are_measured_on_choose_neither_epoch_nor_temperature(
    some: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = some.job(
        head=HeadStage(epochs=2), finetune=Finetune(epochs=1), quantize=Quantize(epochs=0)
    )
    measured, apart = job.data.held.samples[::2], job.data.held.samples[1::2]
    data = replace(
        job.data,
        choose=replace(job.data.held, samples=apart),
        held=replace(job.data.held, samples=measured),
    )
    read: set[Path] = set()
    original = PictureExamples.plain

    def plain(examples: PictureExamples, index: int) -> tuple[Pixels, int]:
        read.add(examples.samples[index].path)
        return original(examples, index)

    monkeypatch.setattr(PictureExamples, "plain", plain)
    job = replace(job, data=data)
    trained = stages.train(job)
    assert {sample.path for sample in apart} <= read
    assert not {sample.path for sample in measured} & read
    predictions = predict_held_out(job, trained)
    assert predictions.choosing.truth.tolist() == [sample.label for sample in apart]
    assert predictions.last.truth.tolist() == [sample.label for sample in measured]
    assert f"They chose nothing: {len(apart)} others" in card(job, predictions.last.share, 1.0)


def logit_bias(network: nn.Module) -> Tensor:
    return [one for one in network.modules() if isinstance(one, nn.Linear)][-1].bias.detach()


def test_networks_that_files_are_made_from_are_held_back_alike(
    some: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = some.job(
        head=HeadStage(epochs=1),
        finetune=Finetune(epochs=0),
        quantize=Quantize(epochs=1),
    )
    trained = stages.train(job)
    assert trained.prepared
    both = (trained.network, trained.prepared)
    monkeypatch.setattr(unknown, "ENOUGH", 1)
    monkeypatch.setattr(unknown, "excess", lambda *_: 1.5)
    before = [logit_bias(network).clone() for network in both]
    unknown.hold_back_unknown(job, trained)
    for network, bias in zip(both, before, strict=True):
        change = (logit_bias(network) - bias).tolist()
        assert change == pytest.approx([0, 0, -1.5])
    told = [line for line in some.told if line.startswith("unknown:")]
    assert len(told) == 1


def test_labels_without_unknown_are_left_alone(some: Stages) -> None:
    job = some.job(
        head=HeadStage(epochs=1), finetune=Finetune(epochs=0), quantize=Quantize(epochs=0)
    )
    learn = replace(job.data.learn, labels=("disc", "square", "stripes"))
    trained = stages.train(job)
    before = logit_bias(trained.network).clone()
    unknown.hold_back_unknown(replace(job, data=replace(job.data, learn=learn)), trained)
    assert torch.equal(logit_bias(trained.network), before)


def test_same_seed_trains_the_same_network_and_another_one_does_not(
    some: Stages, tmp_path: Path
) -> None:
    found = []
    for number, seed in enumerate((1, 1, 2)):
        job = some.job(
            seed=seed,
            head=HeadStage(epochs=2),
            finetune=Finetune(epochs=1),
            quantize=Quantize(epochs=0),
        )
        options = replace(job.options, folder=tmp_path / str(number), seed=seed)
        found.append(state(stages.train(replace(job, options=options)).network))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
    assert not found[0]["classifier.1.weight"].equal(found[2]["classifier.1.weight"])


def test_learning_curve_has_ever_more_pictures_of_every_class(some: Stages) -> None:
    job = some.job(head=HeadStage(epochs=4))
    points = learning_curve(job)
    assert [point.part for point in points] == list(PARTS)
    pictures = [point.pictures for point in points]
    assert pictures == sorted(pictures)
    assert some.told == [f"learning curve: the head on {count} pictures" for count in pictures]
    assert pictures[0] >= 3
    assert pictures[-1] == len(job.data.learn.samples)
    assert {point.share.count for point in points} == {len(job.data.held.samples)}
    assert all(0 <= (point.share.value or 0) <= 1 for point in points)


def test_judged_counts_what_is_right() -> None:
    logits = np.array([[2, 1, 0], [0, 3, 1], [5, 0, 0], [1, 0, 4]], np.float32)
    one = Predictions(logits, np.array([0, 1, 1, 2]))
    assert one.predicted.tolist() == [0, 1, 0, 2]
    assert (one.share.hits, one.share.count) == (3, 4)
    assert 0 < one.reliability.expected_error < 1
    other = Predictions(logits, np.array([0, 1, 0, 2]))
    assert HeldOutPredictions(one, None, one).last is one
    assert HeldOutPredictions(one, other, one).last is other
