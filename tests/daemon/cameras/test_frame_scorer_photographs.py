"""A photograph in a corner of a whole frame, through the embedded network and with its tree."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from edge_classifier.config.settings import ModelSettings
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.models.active_model import (
    ActiveModel,
    load_active_model,
)
from tests.daemon.parts import CAMERA, PipelineBench
from tests.vision.scenes import SIZE, ground, noisy

SIDE = 220
Look = Literal["whole", "motion", "both"]


@pytest.fixture(scope="module")
def network() -> ActiveModel:
    return load_active_model(ModelSettings())


def shown(bench: PipelineBench, pixels: np.ndarray, number: int) -> FrameResult:
    result = bench.show(noisy(pixels, number), 0.2)
    assert result is not None
    return result


@pytest.mark.parametrize("look", ["both", "motion"])
@pytest.mark.parametrize(
    ("picture", "name", "left", "top"),
    [
        ("n02113978", "dog", 80, 420),
        ("n02391049", "zebra", 980, 60),
        ("n02510455", "giant panda", 500, 250),
    ],
)
def test_photographed_thing_that_comes_is_named_and_found_where_the_whole_does_not_see_it(
    shared: Path, network: ActiveModel, look: Look, picture: str, name: str, left: int, top: int
) -> None:
    photograph = cv2.imread(str(shared / "data" / "imagenet-samples" / f"{picture}.jpg"))
    assert photograph is not None
    empty = ground()
    there = empty.copy()
    thing = cv2.resize(photograph, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    there[top : top + SIDE, left : left + SIDE] = thing
    said = {}
    ways: tuple[Look, ...] = ("whole", look)
    for way in ways:
        bench = PipelineBench(network, replace(CAMERA, look=way, rate_fps=5))
        *_, last = [shown(bench, each, at) for at, each in enumerate([empty] * 3 + [there] * 2)]
        said[way] = bench.pipeline.state().path
    assert name in said[look]
    assert name not in said["whole"]
    assert last.box is not None
    middle = last.box.left + last.box.width / 2, last.box.top + last.box.height / 2
    assert middle[0] * SIZE[0] == pytest.approx(left + SIDE / 2, abs=20)
    assert middle[1] * SIZE[1] == pytest.approx(top + SIDE / 2, abs=20)
    assert last.box.height * SIZE[1] <= 1.35 * SIDE
