"""One camera's way from frame to label, through a real network that names colours."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.config.settings import CameraSettings, DecisionSettings, MotionSettings, Region
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.events import CameraState, Ranked
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.decision.name_lines import UnknownLabelsError
from edge_classifier.decision.reasons import Reason
from tests.daemon.parts import AT_ONCE, CAMERA, UTC_S, PipelineBench, colour_model, plain

GATED = replace(CAMERA, motion=MotionSettings(enabled=True, max_interval_s=10))
# Nothing is ever sure enough: the network's best score is 0.996.
SURE = DecisionSettings(smoothing="none", dwell_s=0, unknown_dwell_s=0, enter=1.0)
BEFORE = CameraState(
    camera="door",
    label="green",
    score=0.9,
    margin=0.8,
    top=(Ranked("green", 0.9),),
    since=UTC_S - 600,
    at=UTC_S - 60,
    seq=7,
    model="older",
    enabled=True,
    threshold=0.6,
)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return colour_model(tmp_path_factory.mktemp("model") / "rgb.tflite")


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return colour_model(
        tmp_path_factory.mktemp("model") / "german.tflite", "rot", "green", "blau", size=16
    )


# --- from frame to event -----------------------------------------------------------------------


def test_pipeline_on_another_colour_makes_one_event_with_all_that_is_known(
    rgb: ActiveModel,
) -> None:
    bench = PipelineBench(rgb)
    bench.see("red")
    result = bench.see("green", after_s=2)
    change = result.change
    assert result.reason is Reason.CHANGED
    assert change is not None
    # The second is the end of what was red.
    assert (change.id, change.seq, change.camera) == ("door-2", 3, "door")
    assert (change.before, change.after, change.model) == ("red", "green", rgb.id)
    assert (change.captured.monotonic, change.captured.utc) == (1003.0, UTC_S + 1003)
    assert change.score == pytest.approx(0.996, abs=0.01)
    assert result.inference_ms > 0
    state = bench.pipeline.state()
    assert (state.label, state.seq, state.since, state.at) == (
        "green",
        3,
        UTC_S + 1003,
        UTC_S + 1003,
    )
    assert state.top[0].label == "green"
    assert (state.enabled, state.threshold, state.model) == (True, 0.6, rgb.id)


def test_pipeline_on_the_same_colour_makes_no_event(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb)
    first = bench.see("red").change
    again = bench.see("red")
    assert first is not None
    assert (again.reason, again.change) == (Reason.UNCHANGED, None)
    assert bench.pipeline.state().since == first.captured.utc
    assert bench.pipeline.state().at == UTC_S + 1002


def test_pipeline_without_a_frame_does_nothing(rgb: ActiveModel) -> None:
    assert PipelineBench(rgb).pipeline.process_frame() is None


def test_pipeline_measures_how_old_a_frame_was(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb)
    bench.capture.show(plain("red"), bench.clock())
    bench.clock.add(0.25)
    result = bench.pipeline.process_frame()
    assert result is not None
    assert result.age_ms == pytest.approx(250)


def test_pipeline_with_a_region_classifies_that_part_alone(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, replace(CAMERA, region=Region(left=0.5, width=0.5)))
    pixels = np.hstack([plain("red").pixels, plain("blue").pixels])
    bench.capture.show(Frame(pixels, ColourOrder.RGB), bench.clock())
    bench.pipeline.process_frame()
    assert bench.pipeline.state().label == "blue"


# --- pace --------------------------------------------------------------------------------------


def classified(bench: PipelineBench, fps: float, seconds: float) -> int:
    """How many frames of a camera of ``fps`` are classified."""
    looks = (bench.look("red", after_s=1 / fps) for _ in range(round(fps * seconds)))
    return sum(result is not None for result in looks)


@pytest.mark.parametrize(
    ("rate_fps", "camera_fps", "expected"),
    [
        (5, 30, 100),
        (7, 30, 140),
        (29, 30, 580),
        (20, 25, 400),
        (30, 30, 600),
        (5, 4.9, 98),
        (0, 30, 600),
    ],
)
def test_pipeline_keeps_its_pace_without_drift(
    rgb: ActiveModel, rate_fps: float, camera_fps: float, expected: int
) -> None:
    bench = PipelineBench(rgb, replace(CAMERA, rate_fps=rate_fps))
    assert classified(bench, camera_fps, 20) == pytest.approx(expected, abs=1)


def test_pipeline_after_a_pause_does_not_run_after_what_it_missed(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, replace(CAMERA, rate_fps=5))
    classified(bench, 50, 2)
    bench.clock.add(60)
    assert classified(bench, 50, 1) <= 6


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 3), min_size=2, max_size=60), st.floats(0.5, 30))
def test_pipeline_never_exceeds_its_rate(
    rgb: ActiveModel, pauses: list[float], rate_fps: float
) -> None:
    bench = PipelineBench(rgb, replace(CAMERA, rate_fps=rate_fps))
    times = [bench.clock() for pause in pauses if bench.look("red", pause)]
    for begin, first in enumerate(times):
        for number, last in enumerate(times[begin:]):
            assert number <= (last - first) * rate_fps + 1 + 1e-6


def test_pipeline_given_a_faster_rate_takes_it_at_once(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, replace(CAMERA, rate_fps=0.01))
    bench.see("red")
    assert bench.look("green") is None
    bench.configure(replace(CAMERA, rate_fps=5))
    bench.see("green")


# --- not looked at -----------------------------------------------------------------------------


def test_pipeline_with_a_gate_repeats_the_last_scores_while_nothing_moves(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, GATED)
    bench.see("red")
    result = bench.see("red")
    assert (result.reason, result.inference_ms, result.change) == (Reason.GATED, 0.0, None)
    assert result.verdict is not None
    assert result.verdict.best.label == "red"
    moved = bench.see("green")
    assert moved.inference_ms > 0
    assert moved.reason is Reason.CHANGED


def test_pipeline_with_a_gate_looks_again_after_its_longest_interval(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, GATED)
    bench.see("red")
    looked = [bench.see("red").inference_ms > 0 for _ in range(25)]
    assert [second for second, did in enumerate(looked, 1) if did] == [10, 20]


def test_pipeline_with_a_gate_lets_a_label_in_though_nothing_moves(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, replace(GATED, decision=replace(AT_ONCE, dwell_s=3)))
    reasons = [bench.see("red").reason for _ in range(5)]
    assert reasons == [Reason.DWELL, Reason.GATED, Reason.GATED, Reason.CHANGED, Reason.GATED]


def test_pipeline_that_is_disabled_looks_at_nothing_and_keeps_its_label(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb)
    bench.see("red")
    bench.configure(replace(CAMERA, enabled=False))
    result = bench.see("green")
    assert (result.reason, result.verdict, result.inference_ms) == (Reason.DISABLED, None, 0.0)
    assert bench.look("green", after_s=0.5) is None
    state = bench.pipeline.state()
    assert (state.label, state.enabled) == ("red", False)
    bench.configure(CAMERA)
    assert bench.see("green").change is not None


def test_pipeline_counts_no_dwell_while_the_camera_was_away_or_switched_off(
    rgb: ActiveModel,
) -> None:
    patient = replace(CAMERA, decision=replace(AT_ONCE, dwell_s=3))
    bench = PipelineBench(rgb, patient)
    assert [bench.see("red").reason for _ in range(3)] == [Reason.DWELL] * 3
    bench.capture.opening += 1
    assert bench.see("red", after_s=3600).reason is Reason.DWELL
    bench.configure(replace(patient, enabled=False))
    assert bench.see("red", after_s=0.5).reason is Reason.DISABLED
    bench.configure(patient)
    assert bench.see("red", after_s=3600).reason is Reason.DWELL
    assert bench.see("red").reason is Reason.CHANGED


def test_pipeline_in_quiet_hours_looks_at_nothing(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, replace(CAMERA, quiet_hours=("22:00-06:00", "13:00-13:30")))
    found = {}
    for minute in (13 * 60 - 1, 13 * 60, 14 * 60, 23 * 60, 5 * 60, 6 * 60):
        bench.minute = minute
        found[minute] = bench.see("red").reason is Reason.QUIET_HOURS
    assert list(found.values()) == [False, True, False, True, True, False]


def test_pipeline_takes_another_threshold_and_goes_on_where_it_was(rgb: ActiveModel) -> None:
    """It counts as no gap, and smoothed scores and times of waiting stay."""
    slow = replace(CAMERA, decision=replace(SURE, dwell_s=3, enter=0.9))
    bench = PipelineBench(rgb, slow)
    assert [bench.see("red").reason for _ in range(3)] == [Reason.DWELL] * 3
    bench.configure(replace(slow, title="Door", decision=replace(slow.decision, enter=0.5)))
    assert bench.pipeline.state().threshold == 0.5
    assert bench.see("red").reason is Reason.CHANGED
    bench.configure(replace(slow, decision=SURE))
    assert bench.see("red").reason is Reason.UNCHANGED
    change = bench.see("green").change
    assert change
    assert change.after == "unknown"


@pytest.mark.parametrize("look", ["whole", "both"])
def test_pipeline_sees_another_region_from_the_next_frame_on(rgb: ActiveModel, look: str) -> None:
    half = replace(CAMERA, look=look, region=Region(width=0.5))  # type: ignore[arg-type]
    bench = PipelineBench(rgb, half)
    pixels = np.hstack([plain("red").pixels, plain("blue").pixels])
    frame = Frame(pixels, ColourOrder.RGB)
    bench.show(frame)
    assert bench.pipeline.state().label == "red"
    bench.configure(replace(half, region=Region(left=0.5, width=0.5)))
    bench.show(frame)
    assert bench.pipeline.state().label == "blue"


# --- through restarts, reloads and exchanged models ----------------------------------------------


def test_pipeline_restored_shows_what_was_before_any_frame(rgb: ActiveModel) -> None:
    state = PipelineBench(rgb, before=BEFORE).pipeline.state()
    assert state == replace(BEFORE, model=rgb.id)


def test_pipeline_restored_goes_on_counting_from_its_label(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, before=BEFORE)
    assert bench.see("green").reason is Reason.UNCHANGED
    assert bench.pipeline.state().since == BEFORE.since
    change = bench.see("red").change
    assert change is not None
    assert (change.seq, change.before, change.after) == (8, "green", "red")


def test_pipeline_restored_with_a_label_that_is_gone_lets_it_go(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, replace(CAMERA, decision=SURE), before=replace(BEFORE, label="dog"))
    change = bench.see("green").change
    assert change is not None
    assert (change.seq, change.before, change.after) == (8, "dog", "unknown")


def test_pipeline_with_another_model_keeps_the_label_they_share(
    rgb: ActiveModel, german: ActiveModel
) -> None:
    bench = PipelineBench(rgb)
    bench.see("green")
    bench.configure(model=german)
    state = bench.pipeline.state()
    assert (state.label, state.seq, state.model) == ("green", 1, german.id)
    assert bench.see("green").reason is Reason.UNCHANGED
    change = bench.see("red").change
    assert change is not None
    assert (change.before, change.after, change.model) == ("green", "rot", german.id)


def test_pipeline_with_another_model_does_not_repeat_scores_of_the_old_one(
    rgb: ActiveModel, german: ActiveModel
) -> None:
    bench = PipelineBench(rgb, GATED)
    bench.see("green")
    bench.configure(model=german)
    assert bench.see("green").inference_ms > 0


def test_pipeline_judges_a_frame_that_was_prepared_for_another_model_rightly(
    rgb: ActiveModel, german: ActiveModel
) -> None:
    bench = PipelineBench(rgb)
    bench.capture.show(plain("green"), bench.clock())
    bench.configure(model=german)
    result = bench.pipeline.process_frame()
    assert result is not None
    assert result.change is not None
    assert result.change.after == "green"


def test_pipeline_given_labels_that_the_model_has_not_stays_as_it_was(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb)
    bench.see("green")
    wrong = CameraSettings(
        source="other", decision=DecisionSettings(groups={"warm": ("red", "orange")})
    )
    before = (bench.pipeline.settings, bench.pipeline.rules, bench.pipeline.state())
    with pytest.raises(UnknownLabelsError, match="orange"):
        bench.configure(wrong)
    assert (bench.pipeline.settings, bench.pipeline.rules, bench.pipeline.state()) == before


def test_pipeline_whose_label_is_reset_begins_without_a_label_but_counts_on(
    rgb: ActiveModel,
) -> None:
    bench = PipelineBench(rgb)
    bench.see("red")
    bench.pipeline.reset_label()
    state = bench.pipeline.state()
    # The second is the end of what was red.
    assert (state.label, state.seq, state.top, state.model) == ("unknown", 2, (), rgb.id)
    change = bench.see("red").change
    assert change is not None
    assert (change.seq, change.before, change.after) == (3, "unknown", "red")
