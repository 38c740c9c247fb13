"""Weights that we write, and read again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch

from edge_classifier.errors import ModelError, OutputError
from edge_classifier.training.networks import weights
from edge_classifier.training.networks.blocks import Padding
from tests.training.networks.torchvision_like import (
    assert_same,
    shape,
    torchvision_like,
    without_counts,
)


def test_write_then_read_keeps_family_and_vectors_and_halves_kernels(tmp_path: Path) -> None:
    state = without_counts(torchvision_like())
    family = replace(weights.OWN, padding=Padding.SYMMETRIC, eps=1e-4)
    path = tmp_path / "a.safetensors"
    weights.write(path, weights.Checkpoint("x", state, family), "from a test")
    read = weights.read(path)
    assert read.family == family
    assert_same(
        {name: tensor.float() for name, tensor in read.tensors.items()},
        {name: t.half().float() if t.ndim > 1 else t for name, t in state.items()},
    )
    first = path.read_bytes()
    weights.write(path, weights.Checkpoint("x", state, family), "from a test")
    assert path.read_bytes() == first
    assert b"from a test" in first
    assert list(tmp_path.iterdir()) == [path]


def test_write_into_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    checkpoint = weights.Checkpoint("x", {"a": shape(1)}, weights.OWN)
    with pytest.raises(OutputError):
        weights.write(tmp_path / "none" / "a.safetensors", checkpoint, "")


@pytest.mark.parametrize("stated", ["{", "{}", '{"padding": "none"}', "3"])
def test_read_a_family_that_makes_no_sense_is_a_model_error(tmp_path: Path, stated: str) -> None:
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": shape(1)}, path, {"family": stated})
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        weights.read(path)


def test_read_a_family_with_two_means_is_a_model_error(tmp_path: Path) -> None:
    stated = {"padding": "tensorflow", "eps": 1e-3, "mean": [1, 2], "std": [1, 2, 3]}
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({"a": shape(1)}, path, {"family": json.dumps(stated)})
    with pytest.raises(ModelError):
        weights.read(path)
