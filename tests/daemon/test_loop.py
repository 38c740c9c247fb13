"""The loop between cameras and what is made of their frames."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from edge_classifier.daemon import loop
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.frame_result import FrameResult
from edge_classifier.daemon.loop import MainLoop
from tests.fake_parts import Bench, network, plain
from tests.fake_source import FakeClock
from tests.waiting import eventually


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return network(tmp_path_factory.mktemp("model") / "rgb.tflite")


class Watched:
    """A pipeline, and all that it calls."""

    def __init__(self, rgb: ActiveModel, *cameras: str) -> None:
        self.benches = {name: Bench(rgb, name=name) for name in cameras}
        self.clock = FakeClock()
        self.happened: list[str] = []
        self.progressed = self.kept_house = 0
        self.pipeline = MainLoop(
            seen=self._seen,
            housekeeping=self._housekeep,
            progress=self._progress,
            clock=self.clock,
        )
        self.pipeline.take(rgb, [bench.lane for bench in self.benches.values()])

    def show(self, camera: str) -> None:
        bench = self.benches[camera]
        bench.grabber.show(plain("red"), bench.clock())

    def _seen(self, lane: CameraPipeline, _outcome: FrameResult) -> None:
        self.happened.append(lane.name)

    def _housekeep(self) -> None:
        self.kept_house += 1

    def _progress(self) -> None:
        self.progressed += 1


@contextmanager
def running(watched: Watched) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=watched.pipeline.run)
    thread.start()
    try:
        yield thread
    finally:
        watched.pipeline.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_pipeline_looks_at_each_camera_once_a_turn(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door", "yard", "pond")
    for bench in watched.benches.values():
        # Another frame is there whenever the pipeline looks.
        bench.grabber.on_take = partial(watched.show, bench.name)
    for _ in range(5):
        assert watched.pipeline.turn()
    assert watched.happened == ["door", "yard", "pond"] * 5


def test_pipeline_without_a_frame_or_a_network_is_idle(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door")
    assert not watched.pipeline.turn()
    idle = MainLoop(seen=lambda *_: None, housekeeping=lambda: None, progress=lambda: None)
    assert not idle.turn()


def test_pipeline_does_what_was_posted_in_order_before_the_next_frame(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door")
    watched.show("door")
    for name in ("first", "second"):
        assert watched.pipeline.post(partial(watched.happened.append, name))
    watched.pipeline.turn()
    assert watched.happened == ["first", "second", "door"]


def test_pipeline_leaves_what_is_posted_meanwhile_to_the_next_turn(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door")
    watched.show("door")

    def again() -> None:
        watched.happened.append("post")
        watched.pipeline.post(again)

    watched.pipeline.post(again)
    watched.pipeline.turn()
    assert watched.happened == ["post", "door"]


def test_pipeline_refuses_more_posts_than_it_has_room_for(rgb: ActiveModel) -> None:
    watched = Watched(rgb)
    posted = [watched.pipeline.post(lambda: watched.happened.append("post")) for _ in range(300)]
    assert posted == [True] * 256 + [False] * 44
    watched.pipeline.turn()
    assert len(watched.happened) == 256
    assert watched.pipeline.post(lambda: None)


def test_pipeline_with_other_cameras_forgets_the_old_ones(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door", "yard")
    watched.pipeline.take(rgb, [watched.benches["yard"].lane])
    for camera in watched.benches:
        watched.show(camera)
    watched.pipeline.turn()
    assert watched.happened == ["yard"]


def test_pipeline_keeps_house_once_a_second_with_frames_and_without(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door")
    for turn in range(30):
        if turn % 2:
            watched.show("door")
        watched.pipeline.turn()
        watched.clock.add(0.1)
    assert watched.kept_house == 3


def test_pipeline_progresses_with_each_turn_and_with_each_frame(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door", "yard")
    watched.pipeline.turn()
    assert watched.progressed == 1
    watched.show("door")
    watched.show("yard")
    watched.pipeline.turn()
    assert watched.progressed == 4


def test_pipeline_that_is_stuck_in_a_camera_makes_no_progress(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door")
    stuck, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        stuck.set()
        assert let_go.wait(20)

    with running(watched):
        eventually(lambda: watched.progressed)
        watched.benches["door"].grabber.on_take = hang
        watched.pipeline.wake()
        eventually(stuck.is_set)
        before = watched.progressed
        for _ in range(3):
            watched.pipeline.wake()
            assert not let_go.wait(0.1)
        assert watched.progressed == before
        let_go.set()
        eventually(lambda: watched.progressed > before)


def test_pipeline_that_sleeps_is_woken_by_a_frame_and_by_a_post(
    rgb: ActiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would sleep for longer than is waited here.
    monkeypatch.setattr(loop, "_IDLE_S", 60.0)
    watched = Watched(rgb, "door")
    with running(watched):
        for number in range(1, 31):
            watched.show("door")
            watched.pipeline.wake()
            eventually(lambda: len(watched.happened) == 2 * number - 1)  # noqa: B023 (called here)
            watched.pipeline.post(partial(watched.happened.append, "post"))
            eventually(lambda: len(watched.happened) == 2 * number)  # noqa: B023
        watched.pipeline.post(watched.pipeline.stop)


def test_pipeline_told_to_stop_finishes_the_frame_and_ends(rgb: ActiveModel) -> None:
    watched = Watched(rgb, "door")
    watched.show("door")
    watched.pipeline.post(watched.pipeline.stop)
    watched.pipeline.run()
    assert watched.happened == ["door"]
    assert watched.progressed
