"""The main loop: each camera by turns, what was posted between frames, and sleep."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from edge_classifier.daemon import loop
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.models.active_model import ActiveModel
from tests.daemon.parts import PipelineBench, colour_model, plain
from tests.fake_source import FakeClock
from tests.waiting import eventually


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return colour_model(tmp_path_factory.mktemp("model") / "rgb.tflite")


class LoopBench:
    """A loop, and all that it calls."""

    def __init__(self, rgb: ActiveModel, *names: str) -> None:
        self.cameras = {name: PipelineBench(rgb, name=name) for name in names}
        self.pipelines = [camera.pipeline for camera in self.cameras.values()]
        self.clock = FakeClock()
        # Cameras whose frames have gone through, and what else a test adds.
        self.happened: list[str] = []
        self.progressed = self.seconds = 0
        for name, camera in self.cameras.items():
            camera.on_result = partial(self._processed, name)
        self.loop = MainLoop(
            lambda: self.pipelines,
            every_second=self._every_second,
            on_progress=self._progress,
            clock=self.clock,
        )

    def show(self, name: str) -> None:
        camera = self.cameras[name]
        camera.capture.show(plain("red"), camera.clock())

    def _processed(self, name: str, _: FrameResult) -> None:
        self.happened.append(name)

    def _every_second(self) -> None:
        self.seconds += 1

    def _progress(self) -> None:
        self.progressed += 1


@contextmanager
def running(bench: LoopBench) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=bench.loop.run)
    thread.start()
    try:
        yield thread
    finally:
        bench.loop.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_loop_looks_at_each_camera_once_a_turn(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door", "yard", "pond")
    for name, camera in bench.cameras.items():
        # Another frame is there whenever the loop looks.
        camera.capture.on_take = partial(bench.show, name)
    for _ in range(5):
        assert bench.loop.run_once()
    assert bench.happened == ["door", "yard", "pond"] * 5


@pytest.mark.parametrize("names", [("door",), ()])
def test_loop_without_a_frame_or_a_camera_is_idle(rgb: ActiveModel, names: tuple[str, ...]) -> None:
    assert not LoopBench(rgb, *names).loop.run_once()


def test_loop_does_what_was_posted_in_order_before_the_next_frame(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door")
    bench.show("door")
    for name in ("first", "second"):
        assert bench.loop.post(partial(bench.happened.append, name))
    bench.loop.run_once()
    assert bench.happened == ["first", "second", "door"]


def test_loop_leaves_what_is_posted_meanwhile_to_the_next_turn(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door")
    bench.show("door")

    def again() -> None:
        bench.happened.append("post")
        bench.loop.post(again)

    bench.loop.post(again)
    bench.loop.run_once()
    assert bench.happened == ["post", "door"]


def test_loop_refuses_more_posts_than_it_has_room_for(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb)
    posted = [bench.loop.post(lambda: bench.happened.append("post")) for _ in range(300)]
    assert posted == [True] * 256 + [False] * 44
    bench.loop.run_once()
    assert len(bench.happened) == 256
    assert bench.loop.post(lambda: None)


def test_loop_with_other_cameras_forgets_the_old_ones(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door", "yard")
    bench.pipelines = [bench.cameras["yard"].pipeline]
    for name in bench.cameras:
        bench.show(name)
    bench.loop.run_once()
    assert bench.happened == ["yard"]


def test_loop_calls_what_is_due_once_a_second_with_frames_and_without(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door")
    for turn in range(30):
        if turn % 2:
            bench.show("door")
        bench.loop.run_once()
        bench.clock.add(0.1)
    assert bench.seconds == 3


def test_loop_progresses_with_each_turn_and_with_each_frame(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door", "yard")
    bench.loop.run_once()
    assert bench.progressed == 1
    bench.show("door")
    bench.show("yard")
    bench.loop.run_once()
    assert bench.progressed == 4


def test_loop_that_is_stuck_in_a_camera_makes_no_progress(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door")
    stuck, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        stuck.set()
        assert let_go.wait(20)

    with running(bench):
        eventually(lambda: bench.progressed)
        bench.cameras["door"].capture.on_take = hang
        bench.loop.wake()
        eventually(stuck.is_set)
        before = bench.progressed
        for _ in range(3):
            bench.loop.wake()
            assert not let_go.wait(0.1)
        assert bench.progressed == before
        let_go.set()
        eventually(lambda: bench.progressed > before)


def test_loop_that_sleeps_is_woken_by_a_frame_and_by_a_post(
    rgb: ActiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would sleep for longer than is waited here.
    monkeypatch.setattr(loop, "_IDLE_S", 60.0)
    bench = LoopBench(rgb, "door")
    with running(bench):
        for number in range(1, 31):
            bench.show("door")
            bench.loop.wake()
            eventually(lambda: len(bench.happened) == 2 * number - 1)  # noqa: B023 (called here)
            bench.loop.post(partial(bench.happened.append, "post"))
            eventually(lambda: len(bench.happened) == 2 * number)  # noqa: B023
        bench.loop.post(bench.loop.stop)


def test_loop_that_is_stopped_finishes_the_frame_and_ends(rgb: ActiveModel) -> None:
    bench = LoopBench(rgb, "door")
    bench.show("door")
    bench.loop.post(bench.loop.stop)
    bench.loop.run()
    assert bench.happened == ["door"]
    assert bench.progressed
