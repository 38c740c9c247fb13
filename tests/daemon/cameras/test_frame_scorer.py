"""Which part of a frame the network sees, through a real one that names the brightest colour."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_classifier.classifier import Classifier
from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.config.settings import CameraSettings, DecisionSettings, MotionSettings, Region
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame, PreprocessedCrop
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.jpeg_comment import frame_of
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.cameras.frame_scorer import is_surer
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.decision.label_map import label_map
from edge_classifier.decision.reasons import Reason
from tests.daemon.parts import CAMERA, PipelineBench, colour_model, plain

SIZE = 640, 480
BOTH = replace(CAMERA, look="both", rate_fps=5)
MOTION = replace(BOTH, look="motion")
WHOLE = replace(BOTH, look="whole")
# A square of 120 pixels: of the whole frame the network's 8 x 8 pixels see one or two of it.
LEFT, TOP, SIDE = 400, 280, 120


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return colour_model(tmp_path_factory.mktemp("model") / "rgb.tflite")


@pytest.fixture
def networks_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry each time that the network runs."""
    runs: list[int] = []
    run = Classifier._scored

    def counted(classifier: Classifier, preprocess_ms: float) -> object:
        runs.append(1)
        return run(classifier, preprocess_ms)

    monkeypatch.setattr(Classifier, "_scored", counted)
    return runs


def room(thing: bool = False, left: int = LEFT, top: int = TOP) -> Frame:
    """A red room, perhaps with a green thing in it."""
    pixels = plain("red", SIZE).pixels.copy()
    if thing:
        pixels[top : top + SIDE, left : left + SIDE] = (0, 255, 0)
    return Frame(pixels, ColourOrder.RGB)


def seen(bench: PipelineBench, frame: Frame, after_s: float = 1.0) -> FrameResult:
    result = bench.show(frame, after_s)
    assert result is not None
    return result


def entered(rgb: ActiveModel, settings: CameraSettings) -> tuple[PipelineBench, FrameResult]:
    """An empty room for a while, and then the thing in it."""
    bench = PipelineBench(rgb, settings)
    for _ in range(3):
        seen(bench, room())
    return bench, seen(bench, room(thing=True))


def has_thing(box: RelativeBox | None) -> bool:
    """Whether ``box`` is around the thing, and not much more."""
    assert box is not None
    right, bottom = box.left + box.width, box.top + box.height
    inside = box.left * SIZE[0] <= LEFT + 8 and right * SIZE[0] >= LEFT + SIDE - 8
    inside = inside and box.top * SIZE[1] <= TOP + 8 and bottom * SIZE[1] >= TOP + SIDE - 8
    return inside and box.height * SIZE[1] <= 1.4 * SIDE


@pytest.mark.parametrize("settings", [BOTH, MOTION], ids=["both", "motion"])
def test_thing_that_comes_is_named_and_state_event_and_snapshot_say_where_it_is(
    rgb: ActiveModel, settings: CameraSettings
) -> None:
    bench, result = entered(rgb, settings)
    assert result.change is not None
    assert result.change.after == "green"
    assert has_thing(result.box)
    assert result.change.box == bench.pipeline.state().box == result.box
    _, jpeg = bench.publisher.pictures[-1]
    about = frame_of(jpeg or b"")
    assert about is not None
    assert about.box == pytest.approx(result.box, abs=1e-4)


def test_camera_that_looks_at_the_whole_does_not_see_what_is_small(rgb: ActiveModel) -> None:
    bench, result = entered(rgb, WHOLE)
    assert (bench.pipeline.state().label, result.box) == ("red", None)


@pytest.mark.parametrize("settings", [BOTH, MOTION], ids=["both", "motion"])
def test_while_nothing_moves_the_whole_is_looked_at(
    rgb: ActiveModel, settings: CameraSettings
) -> None:
    bench = PipelineBench(rgb, settings)
    results = [seen(bench, room()) for _ in range(5)]
    assert [result.box for result in results] == [None] * 5
    assert bench.pipeline.state().label == "red"


def test_thing_that_has_gone_leaves_the_whole(rgb: ActiveModel) -> None:
    bench, _ = entered(rgb, BOTH)
    for _ in range(30):
        last = seen(bench, room())
    assert last.box is None
    assert bench.pipeline.state().label == "red"


def test_where_the_time_allows_it_both_are_looked_at_in_each_frame(
    rgb: ActiveModel, networks_runs: list[int]
) -> None:
    bench, _ = entered(rgb, BOTH)
    networks_runs.clear()
    seen(bench, room(thing=True))
    assert len(networks_runs) == 2


def test_where_the_time_is_short_they_take_turns_and_the_surer_still_counts(
    rgb: ActiveModel, networks_runs: list[int]
) -> None:
    # As many frames as possible: two looks would halve them.
    bench, first = entered(rgb, replace(BOTH, rate_fps=0))
    networks_runs.clear()
    results = [first, *(seen(bench, room(thing=True)) for _ in range(4))]
    assert len(networks_runs) == 4
    assert all(has_thing(result.box) for result in results)
    assert bench.pipeline.state().label == "green"


def test_time_is_shared_with_the_other_cameras(rgb: ActiveModel, networks_runs: list[int]) -> None:
    bench, _ = entered(rgb, BOTH)
    bench.pipeline.configure(BOTH, SnapshotSettings(), rgb, fps=1e9)
    for thing in (False, False, True):
        seen(bench, room(thing=thing))
    networks_runs.clear()
    assert has_thing(seen(bench, room(thing=True)).box)
    assert len(networks_runs) == 1


def test_box_within_a_region_is_one_of_the_whole_frame(rgb: ActiveModel) -> None:
    region = Region(left=0.25, top=0.25, width=0.75, height=0.75)
    _, result = entered(rgb, replace(BOTH, region=region))
    assert has_thing(result.box)


def test_what_moves_beside_the_region_is_not_looked_at(rgb: ActiveModel) -> None:
    _, result = entered(rgb, replace(BOTH, region=Region(width=0.5)))
    assert result.box is None


def test_behind_a_gate_scores_of_what_came_are_repeated_with_its_box(rgb: ActiveModel) -> None:
    gated = replace(BOTH, motion=MotionSettings(enabled=True, max_interval_s=10))
    bench, first = entered(rgb, gated)
    assert has_thing(first.box)
    again = seen(bench, room(thing=True))
    assert (again.reason, again.inference_ms, again.box) == (Reason.GATED, 0.0, first.box)
    assert bench.pipeline.state().label == "green"


@pytest.mark.parametrize("draws", [False, True])
def test_snapshot_shows_a_frame_around_what_was_looked_at_where_that_is_wanted(
    rgb: ActiveModel, draws: bool
) -> None:
    bench = PipelineBench(rgb, BOTH, snapshots=SnapshotSettings(draw_box=draws))
    for thing in (False, False, True):
        result = seen(bench, room(thing=thing))
    bench.pipeline.request_snapshot()
    result = seen(bench, room(thing=True))
    assert result.box is not None
    for _, jpeg in bench.publisher.pictures[-2:]:
        pixels = cv2.imdecode(np.frombuffer(jpeg or b"", np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        row = round((result.box.top + result.box.height / 2) * SIZE[1])
        column = round(result.box.left * SIZE[0])
        # Neither the red room nor the green thing has blue in it.
        assert bool((pixels[row, column - 3 : column + 4, 0] > 100).any()) is draws
    # What the network and the store see stays as it came.
    assert not (result.captured.frame.pixels[:, :, 2] > 0).any()


def shares(**scores: float) -> np.ndarray:
    names = ("tabby", "tiger cat", "sofa", "bottle")
    return np.array([scores.get(name.replace(" ", "_"), 0.0) for name in names], np.float32)


TREE = Taxonomy((TaxonomyNode("cat"), TaxonomyNode("furniture")), (0, 0, 1, None))


@pytest.mark.parametrize(
    ("crop", "share", "whole", "still", "expected"),
    [
        # The one that says more.
        (shares(tabby=0.9), 0.8, shares(sofa=0.5), None, True),
        (shares(tabby=0.5), 0.8, shares(sofa=0.9), None, False),
        # Two kinds of cat are a sure cat.
        (shares(tabby=0.45, tiger_cat=0.45), 0.8, shares(bottle=0.5), None, True),
        # A small thing before a sofa that is as sure as it was.
        (shares(tabby=0.7), 0.3, shares(sofa=0.95), shares(sofa=0.93), True),
        # Too large to be lost in the whole.
        (shares(tabby=0.7), 0.6, shares(sofa=0.95), shares(sofa=0.93), False),
        # The whole has seen it come as well, and better.
        (shares(tabby=0.7), 0.3, shares(bottle=0.95), shares(sofa=0.93), False),
        # Nothing is known of what has come.
        (shares(tabby=0.3), 0.3, shares(sofa=0.95), shares(sofa=0.93), False),
        # But the sofa has become doubtful: it is hidden, or in other light.
        (shares(tabby=0.3), 0.3, shares(sofa=0.8), shares(sofa=0.93), True),
        (shares(tabby=0.3), 0.6, shares(sofa=0.8), shares(sofa=0.93), False),
        (shares(tabby=0.1), 0.3, shares(sofa=0.8), shares(sofa=0.93), False),
        # It has become something else that is surer.
        (shares(tabby=0.3), 0.3, shares(bottle=0.8), shares(sofa=0.93), False),
        # Nothing is known of what was there before.
        (shares(tabby=0.7), 0.3, shares(sofa=0.95), None, False),
    ],
)
def test_of_whole_and_part_the_surer_is_believed(
    crop: np.ndarray, share: float, whole: np.ndarray, still: np.ndarray | None, expected: bool
) -> None:
    labels = label_map(("tabby", "tiger cat", "sofa", "bottle"), DecisionSettings(), TREE)
    part = PreprocessedCrop(np.empty(0), RelativeBox(0, 0, share, share), share)
    assert is_surer(labels, crop, part, whole, still) is expected
