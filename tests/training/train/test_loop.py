"""A stage trains what it is told to, keeps the best of it, and says clearly what went wrong."""

import math
import signal
from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import nn

from edge_classifier.errors import ConfigurationError
from edge_classifier.evaluation.report_data import Epoch
from edge_classifier.progress import LogProgress
from edge_classifier.training.data.examples import FeatureExamples, PictureExamples
from edge_classifier.training.settings import Augment
from edge_classifier.training.train import loop
from edge_classifier.training.train.devices import Hardware, choose_hardware
from edge_classifier.training.train.loop import compute, fit
from edge_classifier.training.train.plan import RunOptions, StagePlan, best_of, rate_factor
from tests.training.small_job import CONTRACT, draw_pictures, small_network, train, weights
from tests.training.train.stage_runs import FINETUNE, HEAD, linear, separable


def test_head_on_features_learns_and_its_history_is_told(options: RunOptions) -> None:
    head = linear()
    history = fit(head, HEAD, separable(), separable(12), options)
    assert [epoch.number for epoch in history] == [1, 2, 3, 4]
    assert {epoch.stage for epoch in history} == {"head"}
    assert history[-1].held_accuracy == 1
    assert history[-1].train_loss < history[0].train_loss < math.log(3)
    outputs, labels = compute(head, separable(12), 5, options)
    assert (outputs.argmax(1) == labels).all()
    assert not head.training


def test_network_has_the_weights_of_the_best_epoch_not_of_the_last(options: RunOptions) -> None:
    head = linear()
    nn.init.eye_(head.weight)
    # Everything is relabelled: each epoch, which here is one step, unlearns what it knew.
    wrong = FeatureExamples(
        np.eye(3, 4, dtype=np.float32)[np.arange(24) % 3], (np.arange(24) + 1) % 3
    )
    seen: list[dict[str, torch.Tensor]] = []
    plan = StagePlan(
        stage="head",
        epochs=6,
        batch=24,
        rate=2.0,
        optimizer="sgd",
        on_step=lambda _: seen.append(weights(head)),
    )
    history = fit(head, plan, wrong, separable(), options)
    best = best_of(history)
    assert history[-1].held_accuracy < best.held_accuracy
    assert 1 <= best.number < 6
    torch.testing.assert_close(weights(head), seen[best.number], rtol=0, atol=0)


def test_best_epoch_is_of_equals_the_one_with_the_least_loss() -> None:
    said = ((0.9, 0.5), (1.0, 0.4), (1.0, 0.2), (1.0, 0.2), (0.9, 0.1))
    history = tuple(
        Epoch(
            stage="head",
            number=number,
            seconds=0,
            rate=0,
            train_loss=0,
            train_accuracy=0,
            held_loss=loss,
            held_accuracy=accuracy,
        )
        for number, (accuracy, loss) in enumerate(said, start=1)
    )
    assert best_of(history).number == 3


def test_stage_of_no_epochs_changes_nothing(options: RunOptions) -> None:
    head = linear()
    assert fit(head, replace(HEAD, epochs=0), separable(), separable(), options) == ()
    assert not options.folder.exists()


def test_stage_without_progress_ends_when_patience_does(options: RunOptions) -> None:
    history = fit(linear(), replace(HEAD, epochs=9, patience=2), separable(), separable(), options)
    assert [epoch.held_accuracy for epoch in history] == [1.0] * 3


def test_steps_are_told_how_much_is_done_and_rates_rise_then_fall(options: RunOptions) -> None:
    done: list[float] = []
    plan = replace(HEAD, warm_up=0.25, on_step=done.append)
    history = fit(linear(), plan, separable(), separable(), options)
    np.testing.assert_allclose(done, np.arange(16) / 16)
    rates = [epoch.rate for epoch in history]
    assert rates[0] == pytest.approx(0.05)
    assert all(later < earlier for earlier, later in pairwise(rates))


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 0.25), (3, 1.0), (4, 1.0), (8, 0.5), (12, 0.0), (13, 0.0)]
)
def test_rate_factor_is_a_rise_and_half_a_cosine(step: int, expected: float) -> None:
    assert rate_factor(step, 12, 1 / 3) == pytest.approx(expected)


def test_frozen_blocks_and_statistics_stay_and_the_rest_is_trained(
    options: RunOptions, tmp_path: Path
) -> None:
    network = small_network()
    network.train()
    network.blocks()[0].requires_grad_(False)
    before = weights(network)
    modes: list[bool] = []
    dropout = network.classifier[0]
    plan = replace(FINETUNE, on_step=lambda _: modes.append(dropout.training))
    train(network, plan, options, tmp_path / "pictures", count=9)
    after = weights(network)
    assert modes == [True] * 4
    changed = {name for name, values in after.items() if not torch.equal(values, before[name])}
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert changed == trained
    assert "features.0.0.weight" not in changed


def test_trained_batch_norm_updates_statistics_of_trained_blocks_only(
    options: RunOptions, tmp_path: Path
) -> None:
    network = small_network()
    network.blocks()[0].requires_grad_(False)
    before = weights(network)
    plan = replace(FINETUNE, epochs=1, batch_norm="trained")
    train(network, plan, options, tmp_path / "pictures", count=9)
    after = weights(network)
    assert torch.equal(after["features.0.1.running_mean"], before["features.0.1.running_mean"])
    assert not torch.equal(
        after["features.18.1.running_mean"], before["features.18.1.running_mean"]
    )


def test_head_factor_and_weight_decay_reach_the_right_parameters(options: RunOptions) -> None:
    """One step of SGD: the difference is rate times gradient, and decay where it belongs."""

    def two() -> nn.Module:
        body, classifier = nn.Linear(4, 4), nn.Linear(4, 3)
        for layer in (body, classifier):
            nn.init.zeros_(layer.weight)
            nn.init.ones_(layer.bias)
        nn.init.eye_(body.weight)
        return nn.Sequential(OrderedDict(body=body, classifier=classifier))

    def moved(plan: StagePlan) -> dict[str, float]:
        network = two()
        start = weights(network)
        fit(network, plan, separable(), separable(), options)
        return {name: float((v - start[name]).norm()) for name, v in weights(network).items()}

    plan = StagePlan(stage="finetune", epochs=1, batch=30, rate=0.1, optimizer="sgd")
    plain, faster = moved(plan), moved(replace(plan, head_factor=5.0))
    decayed = moved(replace(plan, weight_decay=0.5))
    assert faster["classifier.weight"] == pytest.approx(5 * plain["classifier.weight"])
    assert faster["body.weight"] == pytest.approx(plain["body.weight"])
    assert decayed["body.weight"] == pytest.approx(0.1 * 0.5 * 2, rel=1e-5)
    assert decayed["body.bias"] == pytest.approx(plain["body.bias"])


def test_class_weights_make_the_rare_class_count_as_its_weight_says(options: RunOptions) -> None:
    labels = np.array([0] * 27 + [1] * 3)
    examples = FeatureExamples(np.ones((30, 4), np.float32), labels)
    plan = StagePlan(stage="head", epochs=1, batch=30, rate=0.1, class_weights=(1.0, 18.0, 1.0))
    history = fit(linear(), plan, examples, examples, options)
    assert history[0].train_loss == pytest.approx(math.log(3) * (27 + 3 * 18) / 30)
    assert history[0].train_accuracy == pytest.approx(27 / 30)


def test_soft_labels_train_like_hard_ones(options: RunOptions, tmp_path: Path) -> None:
    samples = draw_pictures(tmp_path / "pictures", 12)
    mixed = PictureExamples(samples, CONTRACT, Augment(mixup=0.3))
    plan = replace(FINETUNE, epochs=1, class_weights=(1.0, 2.0, 1.0), label_smoothing=0.1)
    history = fit(small_network(), plan, mixed, PictureExamples(samples, CONTRACT), options)
    assert math.isfinite(history[0].train_loss)
    assert 0 <= history[0].train_accuracy <= 1


def test_loss_that_is_no_number_ends_with_advice(options: RunOptions) -> None:
    broken = FeatureExamples(np.full((6, 4), np.nan, np.float32), np.arange(6) % 3)
    with pytest.raises(ConfigurationError, match="Lower it"):
        fit(linear(), HEAD, broken, separable(), options)


def test_compute_gives_outputs_in_order_with_their_labels(
    options: RunOptions, tmp_path: Path
) -> None:
    network = small_network()
    examples = PictureExamples(draw_pictures(tmp_path / "pictures", 11), CONTRACT)
    outputs, labels = compute(network, examples, 4, options)
    pictures = torch.stack([examples[0, index][0] for index in range(11)])
    with torch.no_grad():
        expected = network((pictures.permute(0, 3, 1, 2).float() - 128) / 128)
    np.testing.assert_allclose(outputs, expected.numpy(), atol=1e-5)
    assert labels.tolist() == [sample.label for sample in examples.samples]


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_device_that_is_not_there_is_refused_by_name(
    device: Literal["cuda", "mps"], options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    for backend in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)
    with pytest.raises(ConfigurationError, match=f"device = {device}: .*Choose auto or cpu"):
        fit(linear(), HEAD, separable(), separable(), replace(options, device=device))


def test_device_auto_takes_what_is_there_in_full_precision_on_a_cpu() -> None:
    chosen = choose_hardware("auto", "mixed")
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert (chosen.device.type, chosen.autocast) == ("cpu", None)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_learns_and_resumes(
    dtype: torch.dtype, options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = Hardware(torch.device("cpu"), dtype)
    monkeypatch.setattr(loop, "choose_hardware", lambda *_: mixed)
    seen: list[torch.dtype] = []
    head = linear()
    head.register_forward_hook(lambda _module, _given, output: seen.append(output.dtype))
    whole = fit(head, HEAD, separable(), separable(12), options)
    assert set(seen) == {dtype}
    assert whole[-1].held_accuracy == 1
    assert head.weight.dtype == torch.float32

    def stop_at_half(done: float) -> None:
        if done == 0.5:
            raise KeyboardInterrupt

    folder = options.folder.with_name("stopped")
    stopped = replace(options, folder=folder)
    plan = replace(HEAD, on_step=stop_at_half)
    with pytest.raises(KeyboardInterrupt):
        fit(linear(), plan, separable(), separable(12), stopped)
    again = linear()
    resumed = replace(stopped, resume=True)
    history = fit(again, HEAD, separable(), separable(12), resumed)
    assert [replace(epoch, seconds=0) for epoch in history] == [
        replace(epoch, seconds=0) for epoch in whole
    ]
    torch.testing.assert_close(weights(again), weights(head), rtol=0, atol=0)


def test_interrupt_reaches_the_caller_and_ctrl_c_works_again(options: RunOptions) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(linear(), replace(HEAD, on_step=interrupt), separable(), separable(), options)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_keeps_its_handler_while_training(options: RunOptions) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []
    plan = replace(HEAD, on_step=lambda _: seen.append(signal.getsignal(signal.SIGTERM)))
    fit(linear(), plan, separable(), separable(), options)
    assert set(seen) == {before}


def test_log_has_a_line_an_epoch_and_nothing_else(
    options: RunOptions, capfd: pytest.CaptureFixture[str]
) -> None:
    fit(linear(), HEAD, separable(), separable(12), options)
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"head {n}/4" for n in (1, 2, 3, 4)]
    assert "held out: loss" in lines[0]
    assert "(best)" in lines[0]


def test_log_of_long_work_says_each_minute_how_far_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    log = LogProgress("finetune", 100, 0, clock=lambda: now[0])
    for _ in range(20):
        now[0] += 6
        log.advance(1)
    assert capfd.readouterr().err.splitlines() == [
        "finetune: 10%, 9 min left",
        "finetune: 20%, 8 min left",
    ]


def test_tensorboard_gets_curves_where_it_is_wanted(options: RunOptions) -> None:
    fit(linear(), HEAD, separable(), separable(), replace(options, tensorboard=True))
    assert list((options.folder / "tensorboard" / "head").glob("events.out.*"))
