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
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.frame_result import CameraOverride
from edge_classifier.decision.label_map import UnknownLabelsError
from edge_classifier.decision.reasons import Reason
from tests.fake_parts import AT_ONCE, CAMERA, UTC_S, Bench, network, plain

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
    return network(tmp_path_factory.mktemp("model") / "rgb.tflite")


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return network(
        tmp_path_factory.mktemp("model") / "german.tflite", "rot", "green", "blau", size=16
    )


# --- from frame to event -----------------------------------------------------------------------


def test_lane_on_another_colour_makes_one_event_with_all_that_is_known(rgb: ActiveModel) -> None:
    bench = Bench(rgb)
    bench.see("red")
    outcome = bench.see("green", after_s=2)
    change = outcome.change
    assert outcome.reason is Reason.CHANGED
    assert change is not None
    assert (change.id, change.seq, change.camera) == ("door-2", 2, "door")
    assert (change.before, change.after, change.model) == ("red", "green", rgb.id)
    assert (change.captured.monotonic, change.captured.utc) == (1003.0, UTC_S + 1003)
    assert change.score == pytest.approx(0.996, abs=0.01)
    assert outcome.inference_ms > 0
    state = bench.lane.state()
    assert (state.label, state.seq, state.since, state.at) == (
        "green",
        2,
        UTC_S + 1003,
        UTC_S + 1003,
    )
    assert state.top[0].label == "green"
    assert (state.enabled, state.threshold, state.model) == (True, 0.6, rgb.id)


def test_lane_on_the_same_colour_makes_no_event(rgb: ActiveModel) -> None:
    bench = Bench(rgb)
    first = bench.see("red").change
    again = bench.see("red")
    assert first is not None
    assert (again.reason, again.change) == (Reason.UNCHANGED, None)
    assert bench.lane.state().since == first.captured.utc
    assert bench.lane.state().at == UTC_S + 1002


def test_lane_without_a_frame_does_nothing(rgb: ActiveModel) -> None:
    assert Bench(rgb).lane.turn(rgb) is None


def test_lane_tells_how_old_a_frame_was(rgb: ActiveModel) -> None:
    bench = Bench(rgb)
    bench.grabber.show(plain("red"), bench.clock())
    bench.clock.add(0.25)
    outcome = bench.lane.turn(rgb)
    assert outcome is not None
    assert outcome.age_ms == pytest.approx(250)


def test_lane_with_a_region_classifies_that_part_alone(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(CAMERA, region=Region(left=0.5, width=0.5)))
    pixels = np.hstack([plain("red").pixels, plain("blue").pixels])
    bench.grabber.show(Frame(pixels, ColourOrder.RGB), bench.clock())
    bench.lane.turn(rgb)
    assert bench.lane.state().label == "blue"


# --- pace --------------------------------------------------------------------------------------


def classified(bench: Bench, fps: float, seconds: float) -> int:
    """How many frames of a camera of ``fps`` are classified."""
    looks = (bench.look("red", after_s=1 / fps) for _ in range(round(fps * seconds)))
    return sum(outcome is not None for outcome in looks)


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
def test_lane_keeps_its_pace_without_drift(
    rgb: ActiveModel, rate_fps: float, camera_fps: float, expected: int
) -> None:
    bench = Bench(rgb, replace(CAMERA, rate_fps=rate_fps))
    assert classified(bench, camera_fps, 20) == pytest.approx(expected, abs=1)


def test_lane_after_a_pause_does_not_run_after_what_it_missed(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(CAMERA, rate_fps=5))
    classified(bench, 50, 2)
    bench.clock.add(60)
    assert classified(bench, 50, 1) <= 6


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 3), min_size=2, max_size=60), st.floats(0.5, 30))
def test_lane_never_exceeds_its_rate(
    rgb: ActiveModel, pauses: list[float], rate_fps: float
) -> None:
    bench = Bench(rgb, replace(CAMERA, rate_fps=rate_fps))
    times = [bench.clock() for pause in pauses if bench.look("red", pause)]
    for begin, first in enumerate(times):
        for number, last in enumerate(times[begin:]):
            assert number <= (last - first) * rate_fps + 1 + 1e-6


def test_lane_given_a_faster_rate_takes_it_at_once(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(CAMERA, rate_fps=0.01))
    bench.see("red")
    assert bench.look("green") is None
    bench.lane.configure(replace(CAMERA, rate_fps=5), rgb)
    bench.see("green")


# --- not looked at -----------------------------------------------------------------------------


def test_lane_with_a_gate_repeats_the_last_scores_while_nothing_moves(rgb: ActiveModel) -> None:
    bench = Bench(rgb, GATED)
    bench.see("red")
    outcome = bench.see("red")
    assert (outcome.reason, outcome.inference_ms, outcome.change) == (Reason.GATED, 0.0, None)
    assert outcome.verdict is not None
    assert outcome.verdict.best.label == "red"
    moved = bench.see("green")
    assert moved.inference_ms > 0
    assert moved.reason is Reason.CHANGED


def test_lane_with_a_gate_looks_again_after_its_longest_interval(rgb: ActiveModel) -> None:
    bench = Bench(rgb, GATED)
    bench.see("red")
    looked = [bench.see("red").inference_ms > 0 for _ in range(25)]
    assert [second for second, did in enumerate(looked, 1) if did] == [10, 20]


def test_lane_with_a_gate_lets_a_label_in_though_nothing_moves(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(GATED, decision=replace(AT_ONCE, dwell_s=3)))
    reasons = [bench.see("red").reason for _ in range(5)]
    assert reasons == [Reason.DWELL, Reason.GATED, Reason.GATED, Reason.CHANGED, Reason.GATED]


def test_lane_that_is_disabled_looks_at_nothing_and_keeps_its_label(rgb: ActiveModel) -> None:
    bench = Bench(rgb)
    bench.see("red")
    bench.lane.set_override(CameraOverride(enabled=False))
    outcome = bench.see("green")
    assert (outcome.reason, outcome.verdict, outcome.inference_ms) == (Reason.DISABLED, None, 0.0)
    assert bench.look("green", after_s=0.5) is None
    state = bench.lane.state()
    assert (state.label, state.enabled) == ("red", False)
    bench.lane.set_override(CameraOverride())
    assert bench.see("green").change is not None


def test_lane_counts_no_dwell_while_the_camera_was_away_or_switched_off(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(CAMERA, decision=replace(AT_ONCE, dwell_s=3)))
    assert [bench.see("red").reason for _ in range(3)] == [Reason.DWELL] * 3
    bench.grabber.connection += 1
    assert bench.see("red", after_s=3600).reason is Reason.DWELL
    bench.lane.set_override(CameraOverride(enabled=False))
    assert bench.see("red", after_s=0.5).reason is Reason.DISABLED
    bench.lane.set_override(CameraOverride())
    assert bench.see("red", after_s=3600).reason is Reason.DWELL
    assert bench.see("red").reason is Reason.CHANGED


def test_lane_in_quiet_hours_looks_at_nothing(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(CAMERA, quiet_hours=("22:00-06:00", "13:00-13:30")))
    found = {}
    for minute in (13 * 60 - 1, 13 * 60, 14 * 60, 23 * 60, 5 * 60, 6 * 60):
        bench.minute = minute
        found[minute] = bench.see("red").reason is Reason.QUIET_HOURS
    assert list(found.values()) == [False, True, False, True, True, False]


@pytest.mark.parametrize(
    ("configured", "override", "expected"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_lane_is_enabled_as_was_asked_for_or_else_as_configured(
    rgb: ActiveModel, configured: bool, override: bool | None, expected: bool
) -> None:
    bench = Bench(rgb, replace(CAMERA, enabled=configured))
    bench.lane.set_override(CameraOverride(enabled=override))
    assert bench.lane.enabled is expected
    assert bench.lane.state().enabled is expected
    assert (bench.see("red").reason is Reason.DISABLED) is not expected


def test_lane_goes_by_the_threshold_that_was_asked_for(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(CAMERA, decision=SURE))
    assert bench.see("red").reason is Reason.BELOW_THRESHOLD
    bench.lane.set_override(CameraOverride(threshold=0.5))
    assert bench.lane.state().threshold == 0.5
    assert bench.see("red").reason is Reason.CHANGED
    bench.lane.configure(replace(CAMERA, decision=replace(SURE, enter=0.9)), rgb)
    assert bench.lane.threshold == 0.5
    bench.lane.set_override(CameraOverride())
    assert bench.lane.threshold == 0.9


# --- through restarts, reloads and exchanged models ----------------------------------------------


def test_lane_restored_shows_what_was_before_any_frame(rgb: ActiveModel) -> None:
    state = Bench(rgb, before=BEFORE).lane.state()
    assert state == replace(BEFORE, model=rgb.id)


def test_lane_restored_goes_on_counting_from_its_label(rgb: ActiveModel) -> None:
    bench = Bench(rgb, before=BEFORE)
    assert bench.see("green").reason is Reason.UNCHANGED
    assert bench.lane.state().since == BEFORE.since
    change = bench.see("red").change
    assert change is not None
    assert (change.seq, change.before, change.after) == (8, "green", "red")


def test_lane_restored_with_a_label_that_is_gone_lets_it_go(rgb: ActiveModel) -> None:
    bench = Bench(rgb, replace(CAMERA, decision=SURE), before=replace(BEFORE, label="dog"))
    change = bench.see("green").change
    assert change is not None
    assert (change.seq, change.before, change.after) == (8, "dog", "unknown")


def test_lane_with_another_network_keeps_the_label_they_share(
    rgb: ActiveModel, german: ActiveModel
) -> None:
    bench = Bench(rgb)
    bench.see("green")
    bench.lane.configure(CAMERA, german)
    bench.network = german
    state = bench.lane.state()
    assert (state.label, state.seq, state.model) == ("green", 1, german.id)
    assert bench.see("green").reason is Reason.UNCHANGED
    change = bench.see("red").change
    assert change is not None
    assert (change.before, change.after, change.model) == ("green", "rot", german.id)


def test_lane_with_another_network_does_not_repeat_scores_of_the_old_one(
    rgb: ActiveModel, german: ActiveModel
) -> None:
    bench = Bench(rgb, GATED)
    bench.see("green")
    bench.lane.configure(GATED, german)
    bench.network = german
    assert bench.see("green").inference_ms > 0


def test_lane_judges_a_frame_that_was_prepared_for_another_network_rightly(
    rgb: ActiveModel, german: ActiveModel
) -> None:
    bench = Bench(rgb)
    bench.grabber.show(plain("green"), bench.clock())
    bench.lane.configure(CAMERA, german)
    outcome = bench.lane.turn(german)
    assert outcome is not None
    assert outcome.change is not None
    assert outcome.change.after == "green"


def test_lane_given_labels_that_the_network_has_not_stays_as_it_was(rgb: ActiveModel) -> None:
    bench = Bench(rgb)
    bench.see("green")
    wrong = CameraSettings(
        source="other", decision=DecisionSettings(groups={"warm": ("red", "orange")})
    )
    before = (bench.lane.settings, bench.lane.rules, bench.lane.state())
    with pytest.raises(UnknownLabelsError, match="orange"):
        bench.lane.configure(wrong, rgb)
    assert (bench.lane.settings, bench.lane.rules, bench.lane.state()) == before


def test_lane_that_forgets_begins_without_a_label_but_counts_on(rgb: ActiveModel) -> None:
    bench = Bench(rgb)
    bench.see("red")
    bench.lane.forget()
    state = bench.lane.state()
    assert (state.label, state.seq, state.top, state.model) == ("unknown", 1, (), rgb.id)
    change = bench.see("red").change
    assert change is not None
    assert (change.seq, change.before, change.after) == (2, "unknown", "red")
