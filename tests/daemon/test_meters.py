"""Counters and times: right in the small, bounded in the large, cheap for every frame."""

import json
import statistics
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.daemon.meters import RATE_S, SIZE, Meters, RingBuffer


@dataclass
class HandClock:
    """Goes when it is told to."""

    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def meters_of(*cameras: str) -> tuple[Meters, HandClock]:
    clock = HandClock()
    meters = Meters(clock=clock)
    meters.set_cameras(cameras)
    return meters, clock


def stats_of(meters: Meters, **cameras: dict[str, object]) -> dict[str, Any]:
    """As a subscriber gets them."""
    found: dict[str, Any] = json.loads(json.dumps(meters.stats(cameras)))
    return found


@given(st.lists(st.floats(0, 1e6), max_size=3 * SIZE))
def test_ring_buffer_holds_the_last_values_and_the_sum_of_all(values: list[float]) -> None:
    ring = RingBuffer()
    for value in values:
        ring.add(value)
    assert sorted(ring.values()) == sorted(values[-SIZE:])
    assert ring.count == len(values)
    assert ring.total == pytest.approx(sum(values))
    quantiles = ring.quantiles()
    if quantiles:
        assert min(ring.values()) <= quantiles.p50 <= quantiles.p95 <= max(ring.values())
    else:
        assert values == []


def test_ring_buffer_of_a_hundred_values_has_their_quantiles() -> None:
    ring = RingBuffer()
    for value in reversed(range(101)):
        ring.add(float(value))
    assert ring.quantiles() == (50.0, 95.0)


def test_frames_are_counted_by_camera_and_reason() -> None:
    meters, _ = meters_of("door", "yard")
    for reason in ("unchanged", "changed", "unchanged"):
        meters.count_frame("door", reason, 1.0)
    meters.count_frame("yard", "gated", 1.0)
    cameras = stats_of(meters)["cameras"]
    assert cameras["door"]["reasons"] == {"unchanged": 2, "changed": 1}
    assert cameras["yard"]["reasons"] == {"gated": 1}


def test_stages_are_timed_only_when_the_network_ran() -> None:
    meters, _ = meters_of("door")
    meters.count_frame("door", "gated", 1.0, 0.0, 0.0, 9.0)
    assert stats_of(meters)["stages_ms"] == {}
    meters.count_frame("door", "unchanged", 1.0, 0.5, 4.0, 0.25)
    stages = stats_of(meters)["stages_ms"]
    assert {name: stage["p50"] for name, stage in stages.items()} == {
        "preprocess": 0.5, "inference": 4.0, "decision": 0.25, "total": 4.75,
    }  # fmt: skip


def test_published_events_have_a_stage_of_their_own() -> None:
    meters, _ = meters_of("door")
    meters.count_published(12.5)
    assert stats_of(meters)["stages_ms"] == {"publish": {"p50": 12.5, "p95": 12.5}}


@pytest.mark.parametrize("fps", [0.5, 5.0, 30.0, 200.0])
def test_fps_of_a_steady_camera_is_its_rate(fps: float) -> None:
    meters, clock = meters_of("door")
    for _ in range(round(2 * RATE_S * fps)):
        clock.now_s += 1 / fps
        meters.count_frame("door", "unchanged", 1.0)
    assert stats_of(meters)["cameras"]["door"]["fps"] == pytest.approx(fps, rel=0.01)


def test_fps_of_a_young_daemon_is_of_its_own_time() -> None:
    meters, clock = meters_of("door")
    for _ in range(10):
        clock.now_s += 0.2
        meters.count_frame("door", "unchanged", 1.0)
    assert stats_of(meters)["fps"] == pytest.approx(5.0)


def test_fps_of_a_camera_that_has_gone_falls_to_zero() -> None:
    meters, clock = meters_of("door")
    meters.count_frame("door", "unchanged", 1.0)
    clock.now_s += RATE_S + 1
    assert stats_of(meters)["cameras"]["door"]["fps"] == 0


def test_fps_of_the_daemon_is_that_of_all_cameras() -> None:
    meters, clock = meters_of("door", "yard")
    for _ in range(100):
        clock.now_s += 0.1
        meters.count_frame("door", "unchanged", 1.0)
        meters.count_frame("yard", "unchanged", 1.0)
    assert stats_of(meters)["fps"] == pytest.approx(20.0)


def test_stats_before_the_first_frame_are_empty_but_whole() -> None:
    meters, clock = meters_of("door")
    clock.now_s += 4.5
    assert stats_of(meters) == {
        "uptime_s": 4.5,
        "fps": 0.0,
        "stages_ms": {},
        "cameras": {"door": {"fps": 0.0, "reasons": {}, "age_ms": None}},
        "models": [],
    }


def test_stats_carry_what_others_know_of_a_camera() -> None:
    meters, _ = meters_of("door")
    meters.count_frame("door", "changed", 8.0)
    door = stats_of(meters, door={"online": True, "dropped": 3}, gone={})["cameras"]["door"]
    assert (door["online"], door["dropped"], door["age_ms"]["p50"]) == (True, 3, 8.0)


def test_cameras_of_another_configuration_keep_their_counts_and_others_go() -> None:
    meters, _ = meters_of("door", "yard")
    meters.count_frame("door", "changed", 1.0)
    meters.set_cameras(("hall", "door"))
    cameras = stats_of(meters)["cameras"]
    assert list(cameras) == ["hall", "door"]
    assert cameras["door"]["reasons"] == {"changed": 1}


def test_figures_have_unique_names_and_seconds() -> None:
    meters, clock = meters_of("door")
    clock.now_s += 30
    for _ in range(4):
        meters.count_frame("door", "changed", 20.0, 1.0, 5.0, 0.5)
    metrics = {metric.name: metric for metric in meters.metrics()}
    assert len(metrics) == len(list(meters.metrics()))
    assert metrics["uptime_seconds"].samples[0].value == 30
    (frames,) = metrics["frames"].samples
    assert (frames.value, dict(frames.labels)) == (4, {"camera": "door", "reason": "changed"})
    stages = {
        (sample.labels["stage"], sample.labels.get("quantile"), sample.suffix): sample.value
        for sample in metrics["stage_seconds"].samples
    }
    assert stages["inference", "0.95", ""] == pytest.approx(0.005)
    assert stages["total", None, "_sum"] == pytest.approx(4 * 0.0065)
    assert stages["total", None, "_count"] == 4
    assert stages["publish", None, "_count"] == 0


def test_counting_a_frame_costs_next_to_nothing() -> None:
    meters = Meters()
    meters.set_cameras(("door",))

    def batch() -> float:
        # Of this thread: what else the machine does takes nothing from it.
        started = time.thread_time()
        for _ in range(200):
            meters.count_frame("door", "unchanged", 1.0, 0.5, 4.5, 0.02)
        return (time.thread_time() - started) / 200

    assert statistics.median(batch() for _ in range(101)) < 20e-6
