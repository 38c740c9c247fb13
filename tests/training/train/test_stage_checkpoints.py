"""Checkpoints of a stage: whole, or refused with a way out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from edge_classifier.errors import ConfigurationError, ModelError, OutputError
from edge_classifier.training.train import checkpoints
from edge_classifier.training.train.loop import fit
from edge_classifier.training.train.plan import RunOptions
from tests.smalldisk import fill, tmpfs
from tests.training.train.stage_runs import FINETUNE, HEAD, linear, separable


def test_full_disk_is_an_output_error_and_the_older_checkpoint_stays(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "1m") as disk:
        options = RunOptions(folder=disk, device="cpu", workers=0)
        marks = checkpoints.Checkpoints(options, "head", linear())

        def fill_after_two_epochs(done: float) -> None:
            if done >= 0.5 and not (disk / "filler").exists():
                fill(disk)

        plan = replace(HEAD, on_step=fill_after_two_epochs)
        with pytest.raises(OutputError, match=r"checkpoints: .*No space.*Make room there"):
            fit(linear(), plan, separable(), separable(), options)
        (disk / "filler").unlink()
        saved = marks.saved()
        assert saved is not None
        assert len(saved.history) == 2
        assert not list(marks.last.parent.glob(".*"))
        history = fit(linear(), HEAD, separable(), separable(), replace(options, resume=True))
        assert len(history) == 4


def damage_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    path.write_bytes(content)


def damage_numbers(path: Path) -> None:
    weight = torch.load(path, weights_only=True)["state_dict"]["weight"].numpy().tobytes()
    path.write_bytes(path.read_bytes().replace(weight, bytes(len(weight))))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1000]),
        lambda path: path.write_bytes(b"not a checkpoint"),
        damage_middle,
        damage_numbers,
        lambda path: torch.save({"state_dict": {}}, path),
        lambda path: torch.save([1], path),
    ],
    ids=["empty", "cut", "text", "middle", "numbers", "foreign", "list"],
)
def test_damaged_checkpoint_is_refused_with_a_way_out(
    damage: Callable[[Path], object], options: RunOptions
) -> None:
    fit(linear(), HEAD, separable(), separable(), options)
    damage(options.folder / "checkpoints" / "head-last.ckpt")
    with pytest.raises(ModelError, match=r"head-last.ckpt: .*Name another --out"):
        fit(linear(), HEAD, separable(), separable(), replace(options, resume=True))


@pytest.mark.parametrize(
    ("head", "signature", "said"),
    [(nn.Linear(4, 5), "", "another network"), (linear(), "other", "other data or settings")],
)
def test_checkpoint_of_something_else_is_refused(
    head: nn.Module, signature: str, said: str, options: RunOptions
) -> None:
    fit(linear(), HEAD, separable(), separable(), options)
    resumed = replace(options, resume=True, signature=signature)
    with pytest.raises(ConfigurationError, match=said):
        fit(head, HEAD, separable(), separable(), resumed)


def test_checkpoint_of_another_stage_is_refused(options: RunOptions) -> None:
    fit(linear(), HEAD, separable(), separable(), options)
    folder = options.folder / "checkpoints"
    (folder / "head-last.ckpt").rename(folder / "finetune-last.ckpt")
    with pytest.raises(ConfigurationError, match="another stage"):
        fit(linear(), FINETUNE, separable(), separable(), replace(options, resume=True))


def test_checkpoint_of_an_older_version_is_refused_unless_its_stage_has_ended(
    options: RunOptions,
) -> None:
    fit(linear(), HEAD, separable(), separable(), options)
    path = options.folder / "checkpoints" / "head-last.ckpt"
    content = torch.load(path, weights_only=True)
    del content["optimizer"]
    torch.save(content, path)
    resumed = replace(options, resume=True)
    assert len(fit(linear(), HEAD, separable(), separable(), resumed)) == 4
    with pytest.raises(ConfigurationError, match="by an older version of this program"):
        fit(linear(), replace(HEAD, epochs=5), separable(), separable(), resumed)


def test_run_that_is_not_resumed_leaves_no_older_checkpoint(options: RunOptions) -> None:
    fit(linear(), HEAD, separable(), separable(), options)

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(linear(), replace(HEAD, on_step=stop), separable(), separable(), options)
    assert not list((options.folder / "checkpoints").iterdir())
