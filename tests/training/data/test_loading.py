"""Which examples a step sees depends on seed, epoch and place, and on nothing else."""

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.contract import Contract
from edge_classifier.dataset.folder import Sample
from edge_classifier.errors import ConfigurationError, PictureError, UnavailableError
from edge_classifier.training.data.examples import FeatureExamples, PictureExamples, network_input
from edge_classifier.training.data.loading import Batches, Loader, choose_workers
from edge_classifier.training.settings import Augment
from edge_classifier.training.train.devices import World
from edge_classifier.vision.pictures import load_picture
from edge_classifier.vision.preprocess import limit_opencv_threads
from tests.training.small_job import CONTRACT, draw_pictures
from tests.waiting import eventually

ALONE = World()
# Reads a batch by a worker, and is killed.
KILLED = """
import os, signal
import numpy as np
from edge_classifier.training.data.examples import FeatureExamples
from edge_classifier.training.data.loading import Batches, Loader
from edge_classifier.training.train.devices import World
examples = FeatureExamples(np.eye(6, 4, dtype=np.float32), np.arange(6) % 3)
reading = iter(Loader(examples, Batches(6, 3, World()), workers=1))
next(reading)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Lethal(FeatureExamples):
    """Ends whichever process reads it."""

    def __getitem__(self, key: tuple[int, int], /) -> NoReturn:
        os._exit(3)


def features(count: int) -> FeatureExamples:
    labels = np.arange(count) % 3
    return FeatureExamples(np.eye(count, 4, dtype=np.float32), labels)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    return draw_pictures(tmp_path / "pictures", 12)


@given(
    count=st.integers(1, 300),
    batch=st.integers(1, 64),
    size=st.integers(1, 8),
    epoch=st.integers(0, 9),
)
def test_batches_hold_each_example_once_in_nearly_equal_shares(
    count: int, batch: int, size: int, epoch: int
) -> None:
    if count < size:
        return
    shares = [Batches(count, batch, World(rank, size), seed=5) for rank in range(size)]
    for share in shares:
        share.epoch = epoch
    steps = list(zip(*shares, strict=True))
    sizes = [sum(map(len, step)) for step in steps]
    assert sizes == list(shares[0].sizes)
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(batch, 2 * size - 1)
    assert all(0 <= max(map(len, s)) - min(map(len, s)) <= 1 and min(map(len, s)) for s in steps)
    keys = Counter(key for step in steps for share in step for key in share)
    assert keys == Counter((epoch, index) for index in range(count))


@given(count=st.integers(8, 200), batch=st.integers(8, 64), size=st.integers(1, 8))
def test_batches_of_several_processes_are_those_of_one(count: int, batch: int, size: int) -> None:
    one = [set(keys) for keys in Batches(count, batch, ALONE, seed=1)]
    several = zip(
        *(Batches(count, batch, World(r, size), seed=1) for r in range(size)), strict=True
    )
    together = [{key for share in step for key in share} for step in several]
    # Where a batch has fewer pictures than there are processes, there are fewer batches.
    assert together == one or count // size < len(one)


def test_batches_change_with_epoch_and_seed_only() -> None:
    def order(epoch: int, seed: int) -> list[int]:
        batches = Batches(50, 8, ALONE, seed)
        batches.epoch = epoch
        return [index for keys in batches for _, index in keys]

    assert order(2, 7) == order(2, 7)
    assert len({tuple(order(epoch, seed)) for epoch in range(3) for seed in range(3)}) == 9


def test_batches_without_a_seed_come_in_order() -> None:
    assert [i for keys in Batches(10, 3, ALONE) for _, i in keys] == list(range(10))


def test_fewer_examples_than_processes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="3 pictures cannot be shared among 4"):
        Batches(3, 8, World(0, 4))


def test_training_picture_depends_on_seed_epoch_and_index_only(samples: list[Sample]) -> None:
    def picture(seed: int, epoch: int, index: int) -> bytes:
        examples = PictureExamples(samples, CONTRACT, Augment(), seed)
        return bytes(examples[epoch, index][0].numpy())

    assert picture(1, 2, 3) == picture(1, 2, 3)
    assert len({picture(*key) for key in ((1, 2, 3), (0, 2, 3), (1, 3, 3), (1, 2, 6))}) == 4


def test_held_out_picture_is_what_the_device_would_see(samples: list[Sample]) -> None:
    contract = Contract(20, 18, crop_fraction=0.5, labels=CONTRACT.labels)
    pixels, label = PictureExamples(samples, contract)[7, 4]
    original = load_picture(str(samples[4].path)).frame.pixels
    assert label == samples[4].label
    np.testing.assert_array_equal(pixels.numpy(), original[9:27, 10:30])


def test_contract_with_names_reaches_other_processes(samples: list[Sample]) -> None:
    named = CONTRACT.with_labels(CONTRACT.labels, {"de": ("blau", "grün", "rot")})
    loader = Loader(PictureExamples(samples, named), Batches(12, 4, ALONE), workers=1)
    assert sum(len(labels) for _, labels in loader) == 12


@pytest.mark.parametrize("settings", [None, Augment(), Augment(mixup=0.5)])
def test_workers_change_nothing(samples: list[Sample], settings: Augment | None) -> None:
    examples = PictureExamples(samples, CONTRACT, settings)
    alone, helped = (
        list(Loader(examples, Batches(12, 5, ALONE, seed=3), workers=workers)) for workers in (0, 2)
    )
    for (pictures, truth), (others, other_truth) in zip(alone, helped, strict=True):
        assert torch.equal(pictures, others)
        assert torch.equal(truth, other_truth)


def having(variable: str) -> list[str]:
    """The processes in whose environment it is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        # It may have ended meanwhile.
        with suppress(OSError):
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
    return found


def test_nobody_reads_on_for_a_training_that_was_killed() -> None:
    mark = uuid.uuid4().hex
    environment = {**os.environ, "TRAINING": mark}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    eventually(lambda: not having(f"TRAINING={mark}"))


def test_loader_begins_the_epoch_that_is_set(samples: list[Sample]) -> None:
    batches = Batches(12, 12, ALONE, seed=0)
    loader = Loader(PictureExamples(samples, CONTRACT), batches, workers=0)
    orders = []
    for batches.epoch in (0, 1, 0):
        orders.append(next(iter(loader))[1].tolist())
    assert orders[0] == orders[2] != orders[1]


def test_mixup_blends_two_pictures_and_their_labels(samples: list[Sample]) -> None:
    settings = Augment(
        flip=False, rotation_deg=0, zoom=0, contrast=0, brightness=0, colour=0, mixup=1
    )
    examples = PictureExamples(samples, CONTRACT, settings)
    for index in range(12):
        pixels, truth = examples[0, index]
        assert isinstance(truth, torch.Tensor)
        assert truth.sum() == pytest.approx(1)
        # Each class's colour, RGB for labels in the order BGR, stands out by 80 values.
        excess = pixels.numpy().mean((0, 1))[::-1] - 60
        np.testing.assert_allclose(excess / excess.sum(), truth, atol=0.1)


def test_picture_that_went_bad_is_replaced_by_the_next_and_said_once(
    samples: list[Sample], capfd: pytest.CaptureFixture[str]
) -> None:
    examples = PictureExamples(samples, CONTRACT)
    samples[4].path.write_bytes(b"gone bad")
    samples[5].path.unlink()
    loader = Loader(examples, Batches(12, 12, ALONE), workers=1)
    for _ in range(2):
        pictures, labels = next(iter(loader))
    assert torch.equal(pictures[4], pictures[6])
    assert torch.equal(pictures[5], pictures[6])
    assert labels.tolist()[3:7] == [0, 0, 0, 0]
    said = capfd.readouterr().err.splitlines()
    assert [line.split(":")[1].strip() for line in said] == [
        str(samples[4].path),
        str(samples[5].path),
    ]
    assert all("the next picture takes its place" in line for line in said)


@pytest.mark.parametrize("workers", [0, 1])
def test_pictures_that_are_all_gone_end_it_with_a_clear_error(
    samples: list[Sample], workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for sample in samples:
        sample.path.unlink()
    loader = Loader(PictureExamples(samples, CONTRACT), Batches(12, 4, ALONE), workers=workers)
    with pytest.raises(PictureError, match="10 pictures in a row cannot be read any more"):
        next(iter(loader))
    assert len(capfd.readouterr().err.splitlines()) >= 10


def test_worker_that_dies_is_an_error_that_says_what_to_do() -> None:
    loader = Loader(
        Lethal(np.zeros((4, 2), np.float32), np.zeros(4, np.int64)), Batches(4, 2, ALONE), workers=1
    )
    with pytest.raises(UnavailableError, match="--workers 0"):
        next(iter(loader))


def test_network_input_is_the_device_s_convention_with_channels_last() -> None:
    pixels = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8).reshape(2, 4, 5, 3)
    inputs = network_input(pixels)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    expected = (pixels.numpy().transpose(0, 3, 1, 2).astype(np.float32) - 128) / 128
    np.testing.assert_array_equal(inputs.numpy(), expected)
    values = torch.rand(3, 7)
    assert network_input(values) is values


def test_features_need_no_workers() -> None:
    assert choose_workers(4, features(3), "cuda", ALONE) == 0


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_workers_are_as_many_as_wished_or_fit_the_processors(
    samples: list[Sample], device: str
) -> None:
    examples = PictureExamples(samples, CONTRACT)
    assert choose_workers(3, examples, device, ALONE) == 3
    chosen = choose_workers(-1, examples, device, ALONE)
    assert 0 <= chosen <= 8
    assert choose_workers(-1, examples, device, replace(ALONE, size=1024)) == 0


def test_loader_keeps_opencv_to_one_thread(samples: list[Sample]) -> None:
    before = cv2.getNumThreads()
    try:
        limit_opencv_threads(2)
        Loader(PictureExamples(samples, CONTRACT), Batches(12, 4, ALONE), workers=0)
        assert cv2.getNumThreads() == 1
    finally:
        limit_opencv_threads(before)
