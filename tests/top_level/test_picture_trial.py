"""A model is tried on the bundled photographs in a child, as the daemon would run it."""

import struct
from pathlib import Path

import numpy as np
import pytest

from edge_classifier import picture_trial as module
from edge_classifier.errors import ModelError
from edge_classifier.picture_trial import MOST_APART, trial_key, try_on_pictures
from tests.tiny import Tiny, build


def test_trial_of_a_model_that_works_says_nothing(tmp_path: Path) -> None:
    try_on_pictures(build(tmp_path / "tiny.tflite"), "auto")


def test_trial_of_a_model_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "page.tflite").write_text("<!doctype html>")
    with pytest.raises(ModelError, match="is a web page, not a model"):
        try_on_pictures(tmp_path / "page.tflite", "cpu")


def test_trial_of_a_model_that_crashes_costs_the_child_alone(tmp_path: Path) -> None:
    path = build(tmp_path / "crashing.tflite")
    data = bytearray(path.read_bytes())
    # Found by trying: the runtime follows it to nowhere.
    struct.pack_into("<i", data, 16, 0)
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"crashed \(SIGSEGV\) when it was tried on this machine"):
        try_on_pictures(path, "cpu")


def test_trial_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"took longer than 0\.01 s when it was tried"):
        try_on_pictures(build(tmp_path / "tiny.tflite"), "cpu", time_limit_s=0.01)


def test_trial_of_a_model_whose_scores_are_no_numbers_says_so(tmp_path: Path) -> None:
    path = build(tmp_path / "nan.tflite", Tiny("float32", folded=float("nan")))
    with pytest.raises(ModelError, match="gives scores that are no numbers"):
        try_on_pictures(path, "cpu")


def test_trial_under_a_delegate_compares_it_with_the_processor() -> None:
    here = np.array([[0.7, 0.3], [0.1, 0.9]], np.float32)
    assert module._difference(here + 0.9 * MOST_APART, here) == ""
    words = module._difference(here + 1.1 * MOST_APART, here)
    assert "the delegate's scores are not the processor's" in words


def test_trial_holds_for_one_runtime_and_one_delegate() -> None:
    assert trial_key("cpu") != trial_key("/usr/lib/delegate.so")
    assert trial_key("cpu") == trial_key("cpu")
