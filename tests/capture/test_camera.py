import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from edge_classifier.capture.camera import HUNG_MOST, CameraCapture
from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.capture.reader import MakeSource
from edge_classifier.config.settings import CameraSettings
from edge_classifier.errors import CameraError, EndOfFrames
from tests.fake_source import FakeCamera, FakeClock, Step, plain
from tests.waiting import eventually

LOST = CameraError("fake", "was unplugged")
CAMERA = CameraSettings(source="fake")
AN_HOUR = 3600.0


class Bench:
    """A grabber, the camera it reads, and what happened."""

    def __init__(self, settings: CameraSettings = CAMERA, *, live: bool = True) -> None:
        self.camera = FakeCamera(live=live)
        self.clock = FakeClock()
        self.woken = 0
        # A hanging driver returns when it is set.
        self.driver = threading.Event()
        # Set by a driver that begins to hang.
        self.hanging = threading.Event()
        self.hangs = 1
        make: MakeSource = self.camera.make
        self.grabber = CameraCapture(
            "door",
            make,
            settings,
            wake=self._wake,
            clock=self.clock,
            utc=FakeClock(2000.0),
            chance=lambda: 0.0,
        )

    def _wake(self) -> None:
        self.woken += 1

    def hang(self) -> None:
        """What a driver does that hangs ``hangs`` more times."""
        if self.hangs:
            self.hangs -= 1
            self.hanging.set()
            assert self.driver.wait(60), "the test ended without letting the driver go"

    def is_online(self) -> bool:
        return self.grabber.status.online

    def taken(self) -> CapturedFrame:
        found: list[CapturedFrame] = []

        def take() -> bool:
            captured = self.grabber.take()
            if captured is not None:
                found.append(captured)
            return bool(found)

        eventually(take)
        return found[0]

    def give_up(self) -> None:
        """Wait until the driver hangs, let its time run out, and look after the thread."""
        eventually(self.hanging.is_set)
        self.hanging.clear()
        self.clock.add(AN_HOUR)
        self.grabber.check()


@pytest.fixture
def make_bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(settings: CameraSettings = CAMERA, *, live: bool = True) -> Bench:
        benches.append(Bench(settings, live=live))
        return benches[-1]

    yield make
    for bench in benches:
        bench.driver.set()
        bench.grabber._desk.next_turn()
        # Readers that wait for a frame find out that they are not wanted.
        bench.camera.shoot(*[LOST] * 20)
        assert bench.grabber.stop(20), "a thread is left"


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


def test_grabber_that_was_started_takes_frames_and_is_online(bench: Bench) -> None:
    assert not bench.is_online()
    bench.grabber.start()
    bench.camera.shoot(plain(90))
    assert bench.taken().number == 1
    assert bench.is_online()
    # The frame is there a moment before anybody is told.
    eventually(lambda: bench.woken == 1)
    assert bench.grabber.take() is None, "a frame is taken once"


def test_grabber_with_a_late_pipeline_keeps_only_the_newest_frame(bench: Bench) -> None:
    bench.grabber.start()
    bench.camera.shoot(*map(plain, range(40, 50)))
    eventually(lambda: bench.camera.retrieved == 10 and bench.woken == 10)
    captured = bench.taken()
    assert captured.number == 10
    assert captured.frame.pixels[0, 0, 0] == 49
    assert bench.grabber.status.dropped == 9


def test_take_before_frames_are_wanted_gives_none(bench: Bench) -> None:
    bench.grabber.start()
    bench.camera.shoot(plain(90))
    eventually(bench.is_online)
    bench.grabber.wanted_from = bench.clock.now + 1
    assert bench.grabber.take() is None
    bench.clock.add(1)
    assert bench.grabber.take() is None, "it is older than what is wanted"
    bench.camera.shoot(plain(91))
    assert bench.taken().frame.pixels[0, 0, 0] == 91


def test_grabber_of_a_source_that_is_not_live_loses_no_frame(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(live=False)
    bench.grabber.start()
    bench.camera.shoot(*map(plain, range(40, 50)), EndOfFrames("film", "was shown"))
    levels = []
    for _ in range(10):
        captured = bench.taken()
        levels.append(int(captured.frame.pixels[0, 0, 0]))
        assert captured.at.monotonic == bench.clock.now, "it is captured when it is taken"
        bench.clock.add(0.2)
    assert levels == list(range(40, 50))
    eventually(lambda: bench.grabber.status.ended)
    assert bench.grabber.status.dropped == 0


def test_grabber_at_the_end_of_a_film_has_not_ended_before_its_last_frame_is_taken(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(live=False)
    bench.grabber.start()
    bench.grabber.wanted_from = bench.clock.now + 0.05
    bench.camera.shoot(plain(40), EndOfFrames("film", "was shown"))
    eventually(bench.camera.steps.empty)
    bench.clock.add(0.05)
    # It goes on waking the pipeline for the frame.
    woken = bench.woken
    eventually(lambda: bench.woken > woken)
    assert not bench.grabber.status.ended
    assert bench.taken().number == 1
    eventually(lambda: bench.grabber.status.ended)


def test_grabber_of_a_source_that_is_not_live_is_asked_for_one_frame_ahead(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(live=False)
    bench.grabber.start()
    bench.camera.shoot(*map(plain, range(40, 50)))
    eventually(lambda: bench.camera.retrieved == 2)
    bench.taken()
    eventually(lambda: bench.camera.retrieved == 3)
    assert bench.camera.steps.qsize() == 7


def test_grabber_of_a_source_that_is_not_live_keeps_the_rate(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(live=False)
    bench.grabber.start()
    bench.camera.shoot(*map(plain, range(40, 43)))
    assert bench.taken().number == 1
    bench.grabber.wanted_from = bench.clock.now + 0.2
    eventually(lambda: bench.camera.retrieved == 3)
    assert bench.grabber.take() is None
    bench.clock.add(0.2)
    assert bench.taken().number == 2


def test_grabber_of_a_source_that_is_not_live_wakes_when_its_frame_is_wanted(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(live=False)
    bench.grabber.start()
    bench.grabber.wanted_from = bench.clock.now + 0.05
    bench.camera.shoot(plain(40), plain(41))
    eventually(lambda: bench.camera.retrieved == 2)
    bench.clock.add(0.05)
    before = bench.woken
    eventually(lambda: bench.woken > before)
    assert bench.taken().number == 1


@pytest.mark.parametrize(
    ("place", "doing", "steps"),
    [
        ("on_open", "opening", ()),
        ("on_retrieve", "reading", (plain(90),)),
        ("on_close", "closing", (plain(90), LOST)),
    ],
)
def test_check_of_a_hung_call_goes_offline_and_tries_anew(
    bench: Bench, place: str, doing: str, steps: tuple[Step, ...]
) -> None:
    setattr(bench.camera, place, bench.hang)
    bench.grabber.start()
    bench.camera.shoot(*steps)
    bench.give_up()
    status = bench.grabber.status
    assert not status.online
    assert f"hangs in {doing}" in status.reason
    assert status.hung == 1
    # The next thread finds the camera well.
    bench.camera.shoot(plain(91))
    eventually(bench.is_online)


def test_check_of_a_hung_grab_goes_offline_and_tries_anew(bench: Bench) -> None:
    bench.grabber.start()
    bench.camera.shoot(plain(90), bench.hang)
    bench.give_up()
    assert not bench.is_online()
    assert "hangs in reading" in bench.grabber.status.reason
    bench.camera.shoot(plain(91))
    eventually(bench.is_online)


def test_hung_call_that_returns_late_closes_its_source_and_touches_nothing(bench: Bench) -> None:
    bench.grabber.start()
    bench.camera.shoot(bench.hang)
    eventually(bench.hanging.is_set)
    # Its frame comes after the thread was given up; the next thread is kept from it.
    blocked = threading.Event()
    bench.camera.on_open = partial(blocked.wait, 60)
    bench.give_up()
    assert (bench.camera.closed, bench.grabber.status.hung) == (0, 1)
    bench.driver.set()
    bench.camera.shoot(plain(90))
    eventually(lambda: bench.grabber.status.hung == 0)
    blocked.set()
    assert bench.camera.closed == 1
    assert bench.camera.retrieved == 0
    assert bench.grabber.take() is None


def test_driver_that_always_hangs_takes_no_more_than_its_threads(bench: Bench) -> None:
    bench.camera.on_open = bench.hang
    bench.hangs = 99
    bench.grabber.start()
    for _ in range(HUNG_MOST):
        bench.give_up()
    for _ in range(50):
        bench.clock.add(AN_HOUR)
        bench.grabber.check()
    status = bench.grabber.status
    readers = [thread for thread in threading.enumerate() if thread.name == "camera-door"]
    assert len(readers) == HUNG_MOST
    assert (status.hung, status.failures) == (HUNG_MOST, HUNG_MOST)
    assert f"{HUNG_MOST} calls into its driver hang" in status.reason


def test_driver_that_hung_and_lets_go_is_used_again(bench: Bench) -> None:
    bench.camera.on_open = bench.hang
    bench.hangs = 99
    bench.grabber.start()
    for _ in range(HUNG_MOST):
        bench.give_up()
    bench.hangs = 0
    bench.driver.set()
    bench.camera.shoot(plain(90))

    def is_back() -> bool:
        bench.grabber.check()
        return bench.is_online()

    # The camera is tried again when the first of the threads has let go; the last may take longer.
    eventually(is_back)
    eventually(lambda: bench.grabber.status.hung == 0)


def test_check_of_a_healthy_camera_leaves_it_alone(bench: Bench) -> None:
    bench.grabber.start()
    for level in range(40, 60):
        bench.camera.shoot(plain(level))
        bench.taken()
        bench.grabber.check()
    assert bench.is_online()
    assert (bench.camera.opened, bench.camera.closed) == (1, 0)


def test_check_without_a_thread_to_be_had_says_so_and_tries_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        bench.grabber.start()
        assert "no thread" in bench.grabber.status.reason
    bench.grabber.check()
    bench.camera.shoot(plain(90))
    eventually(bench.is_online)


def test_stop_of_a_healthy_camera_closes_it(bench: Bench) -> None:
    bench.grabber.start()
    bench.camera.shoot(plain(90))
    eventually(bench.is_online)
    assert not bench.grabber.stop(0), "it waits for a frame"
    bench.camera.shoot(plain(90))
    assert bench.grabber.stop(20)
    assert not bench.is_online()
    assert bench.camera.closed == 1


def test_stop_while_waiting_to_try_again_does_not_wait(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(replace(CAMERA, retry_max_s=3600))
    bench.grabber._chance = lambda: 0.99
    bench.grabber.start()
    bench.camera.shoot(*[LOST] * 12)
    eventually(lambda: bench.grabber.status.failures == 1)
    assert bench.grabber.stop(20)
    assert bench.camera.opened == bench.camera.closed == 1


def test_stop_with_a_hung_driver_returns_in_time_and_says_so(bench: Bench) -> None:
    bench.grabber.start()
    bench.camera.shoot(bench.hang)
    eventually(bench.hanging.is_set)
    assert not bench.grabber.stop(0.05)
    bench.grabber.check()
    assert bench.grabber.status.reason == "door: stopped"


def test_stop_before_start_has_nothing_to_do(bench: Bench) -> None:
    assert bench.grabber.stop(1)
