import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from edge_classifier.capture.camera import MAX_HUNG_THREADS, CameraCapture
from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.capture.reader import GRACE_S, MakeSource
from edge_classifier.config.settings import CameraSettings
from edge_classifier.errors import CameraError, EndOfFrames
from tests.fake_source import FakeCamera, FakeClock, Step, plain
from tests.waiting import eventually

LOST = CameraError("fake", "was unplugged")
CAMERA = CameraSettings(source="fake")
AN_HOUR = 3600.0


class CameraBench:
    """A capture, the camera it reads, and what happened."""

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
        self.capture = CameraCapture(
            "door",
            make,
            settings,
            wake=self._wake,
            clock=self.clock,
            utc=FakeClock(2000.0),
            random=lambda: 0.0,
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
        return self.capture.status.online

    def taken(self) -> CapturedFrame:
        found: list[CapturedFrame] = []

        def take() -> bool:
            captured = self.capture.take_frame()
            if captured is not None:
                found.append(captured)
            return bool(found)

        eventually(take)
        return found[0]

    def give_up_hung_thread(self) -> None:
        """Wait until the driver hangs, let its time run out, and check the thread."""
        eventually(self.hanging.is_set)
        self.hanging.clear()
        for turn in range(int(GRACE_S) + 2):
            self.clock.add(1.0 if turn else AN_HOUR)
            self.capture.check()


@pytest.fixture
def make_bench() -> Iterator[Callable[..., CameraBench]]:
    benches: list[CameraBench] = []

    def make(settings: CameraSettings = CAMERA, *, live: bool = True) -> CameraBench:
        benches.append(CameraBench(settings, live=live))
        return benches[-1]

    yield make
    for bench in benches:
        bench.driver.set()
        bench.capture._slot.replace_reader()
        # Readers that wait for a frame find out that they are not wanted.
        bench.camera.shoot(*[LOST] * 20)
        assert bench.capture.stop(20), "a thread is left"


@pytest.fixture
def bench(make_bench: Callable[..., CameraBench]) -> CameraBench:
    return make_bench()


def test_capture_that_was_started_takes_frames_and_is_online(bench: CameraBench) -> None:
    assert not bench.is_online()
    bench.capture.start()
    bench.camera.shoot(plain(90))
    assert bench.taken().number == 1
    assert bench.is_online()
    # The frame is there a moment before anybody is told.
    eventually(lambda: bench.woken == 1)
    assert bench.capture.take_frame() is None, "a frame is taken once"


def test_capture_with_a_late_pipeline_keeps_only_the_newest_frame(bench: CameraBench) -> None:
    bench.capture.start()
    bench.camera.shoot(*map(plain, range(40, 50)))
    eventually(lambda: bench.camera.retrieved == 10 and bench.woken == 10)
    captured = bench.taken()
    assert captured.number == 10
    assert captured.frame.pixels[0, 0, 0] == 49
    assert bench.capture.status.dropped == 9


def test_take_frame_before_frames_are_wanted_gives_none(bench: CameraBench) -> None:
    bench.capture.start()
    bench.camera.shoot(plain(90))
    eventually(bench.is_online)
    bench.capture.wanted_from = bench.clock.now + 1
    assert bench.capture.take_frame() is None
    bench.clock.add(1)
    assert bench.capture.take_frame() is None, "it is older than what is wanted"
    bench.camera.shoot(plain(91))
    assert bench.taken().frame.pixels[0, 0, 0] == 91


def test_capture_of_a_source_that_is_not_live_loses_no_frame(
    make_bench: Callable[..., CameraBench],
) -> None:
    bench = make_bench(live=False)
    bench.capture.start()
    bench.camera.shoot(*map(plain, range(40, 50)), EndOfFrames("film", "was shown"))
    levels = []
    for _ in range(10):
        captured = bench.taken()
        levels.append(int(captured.frame.pixels[0, 0, 0]))
        assert captured.at.monotonic == bench.clock.now, "it is captured when it is taken"
        bench.clock.add(0.2)
    assert levels == list(range(40, 50))
    eventually(lambda: bench.capture.status.ended)
    assert bench.capture.status.dropped == 0


def test_capture_at_the_end_of_a_film_has_not_ended_before_its_last_frame_is_taken(
    make_bench: Callable[..., CameraBench],
) -> None:
    bench = make_bench(live=False)
    bench.capture.start()
    bench.capture.wanted_from = bench.clock.now + 0.05
    bench.camera.shoot(plain(40), EndOfFrames("film", "was shown"))
    eventually(bench.camera.steps.empty)
    bench.clock.add(0.05)
    # It goes on waking the pipeline for the frame.
    woken = bench.woken
    eventually(lambda: bench.woken > woken)
    assert not bench.capture.status.ended
    assert bench.taken().number == 1
    eventually(lambda: bench.capture.status.ended)


def test_capture_of_a_source_that_is_not_live_is_asked_for_one_frame_ahead(
    make_bench: Callable[..., CameraBench],
) -> None:
    bench = make_bench(live=False)
    bench.capture.start()
    bench.camera.shoot(*map(plain, range(40, 50)))
    eventually(lambda: bench.camera.retrieved == 2)
    bench.taken()
    eventually(lambda: bench.camera.retrieved == 3)
    assert bench.camera.steps.qsize() == 7


def test_capture_of_a_source_that_is_not_live_keeps_the_rate(
    make_bench: Callable[..., CameraBench],
) -> None:
    bench = make_bench(live=False)
    bench.capture.start()
    bench.camera.shoot(*map(plain, range(40, 43)))
    assert bench.taken().number == 1
    bench.capture.wanted_from = bench.clock.now + 0.2
    eventually(lambda: bench.camera.retrieved == 3)
    assert bench.capture.take_frame() is None
    bench.clock.add(0.2)
    assert bench.taken().number == 2


def test_capture_of_a_source_that_is_not_live_wakes_when_its_frame_is_wanted(
    make_bench: Callable[..., CameraBench],
) -> None:
    bench = make_bench(live=False)
    bench.capture.start()
    bench.capture.wanted_from = bench.clock.now + 0.05
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
    bench: CameraBench, place: str, doing: str, steps: tuple[Step, ...]
) -> None:
    setattr(bench.camera, place, bench.hang)
    bench.capture.start()
    bench.camera.shoot(*steps)
    bench.give_up_hung_thread()
    status = bench.capture.status
    assert not status.online
    assert f"hangs in {doing}" in status.reason
    assert status.hung == 1
    # The next thread finds the camera well.
    bench.camera.shoot(plain(91))
    eventually(bench.is_online)


def test_check_of_a_hung_grab_goes_offline_and_tries_anew(bench: CameraBench) -> None:
    bench.capture.start()
    bench.camera.shoot(plain(90), bench.hang)
    bench.give_up_hung_thread()
    assert not bench.is_online()
    assert "hangs in reading" in bench.capture.status.reason
    bench.camera.shoot(plain(91))
    eventually(bench.is_online)


def test_program_that_stood_still_blames_no_camera(bench: CameraBench) -> None:
    bench.capture.start()
    bench.camera.shoot(plain(90), bench.hang)
    eventually(bench.hanging.is_set)
    bench.clock.add(AN_HOUR)
    bench.capture.check()
    assert (bench.is_online(), bench.capture.status.hung) == (True, 0)
    bench.driver.set()
    bench.camera.shoot(LOST)
    eventually(lambda: not bench.is_online())
    assert "this program stood still, and opens the camera again" in bench.capture.status.reason
    bench.clock.add(1.0)
    bench.camera.shoot(plain(91))
    eventually(bench.is_online)
    bench.camera.shoot(LOST)
    eventually(lambda: bench.capture.status.failures == 2)
    assert "stood still" not in bench.capture.status.reason


def test_hung_call_that_returns_late_closes_its_source_and_touches_nothing(
    bench: CameraBench,
) -> None:
    bench.capture.start()
    bench.camera.shoot(bench.hang)
    eventually(bench.hanging.is_set)
    # Its frame comes after the thread was given up; the next thread is kept from it.
    blocked = threading.Event()
    bench.camera.on_open = partial(blocked.wait, 60)
    bench.give_up_hung_thread()
    assert (bench.camera.closed, bench.capture.status.hung) == (0, 1)
    bench.driver.set()
    bench.camera.shoot(plain(90))
    eventually(lambda: bench.capture.status.hung == 0)
    blocked.set()
    assert bench.camera.closed == 1
    assert bench.camera.retrieved == 0
    assert bench.capture.take_frame() is None


def test_driver_that_always_hangs_takes_no_more_than_its_threads(bench: CameraBench) -> None:
    bench.camera.on_open = bench.hang
    bench.hangs = 99
    bench.capture.start()
    for _ in range(MAX_HUNG_THREADS):
        bench.give_up_hung_thread()
    for _ in range(50):
        bench.clock.add(AN_HOUR)
        bench.capture.check()
    status = bench.capture.status
    readers = [thread for thread in threading.enumerate() if thread.name == "camera-door"]
    assert len(readers) == MAX_HUNG_THREADS
    assert (status.hung, status.failures) == (MAX_HUNG_THREADS, MAX_HUNG_THREADS)
    assert f"{MAX_HUNG_THREADS} calls into its driver hang" in status.reason


@pytest.mark.parametrize(
    ("source", "remedy"), [("0", "Unplug"), ("rtsp://camera.lan/live", "Switch the camera off")]
)
def test_check_of_a_hung_call_advises_what_can_be_done_with_such_a_camera(
    source: str, remedy: str
) -> None:
    camera = CameraSettings(source=source)
    capture = CameraCapture("door", lambda: pytest.fail("not opened"), camera, wake=lambda: None)
    capture.wait_for_driver()
    assert remedy in capture.status.reason
    assert ("Unplug" in capture.status.reason) is (remedy == "Unplug")


def test_driver_that_hung_and_lets_go_is_used_again(bench: CameraBench) -> None:
    bench.camera.on_open = bench.hang
    bench.hangs = 99
    bench.capture.start()
    for _ in range(MAX_HUNG_THREADS):
        bench.give_up_hung_thread()
    bench.hangs = 0
    bench.driver.set()
    bench.camera.shoot(plain(90))

    def is_back() -> bool:
        bench.capture.check()
        return bench.is_online()

    # The camera is tried again when the first of the threads has let go; the last may take longer.
    eventually(is_back)
    eventually(lambda: bench.capture.status.hung == 0)


def test_check_of_a_healthy_camera_leaves_it_alone(bench: CameraBench) -> None:
    bench.capture.start()
    for level in range(40, 60):
        bench.camera.shoot(plain(level))
        bench.taken()
        bench.capture.check()
    assert bench.is_online()
    assert (bench.camera.opened, bench.camera.closed) == (1, 0)


def test_check_without_a_thread_to_be_had_says_so_and_tries_again(
    bench: CameraBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        bench.capture.start()
        assert "no thread" in bench.capture.status.reason
    bench.capture.check()
    bench.camera.shoot(plain(90))
    eventually(bench.is_online)


def test_stop_of_a_healthy_camera_closes_it(bench: CameraBench) -> None:
    bench.capture.start()
    bench.camera.shoot(plain(90))
    eventually(bench.is_online)
    assert not bench.capture.stop(0), "it waits for a frame"
    bench.camera.shoot(plain(90))
    assert bench.capture.stop(20)
    assert not bench.is_online()
    assert bench.camera.closed == 1


def test_stop_while_waiting_to_try_again_does_not_wait(
    make_bench: Callable[..., CameraBench],
) -> None:
    bench = make_bench(replace(CAMERA, retry_max_s=3600))
    bench.capture._random = lambda: 0.99
    bench.capture.start()
    bench.camera.shoot(*[LOST] * 12)
    eventually(lambda: bench.capture.status.failures == 1)
    assert bench.capture.stop(20)
    assert bench.camera.opened == bench.camera.closed == 1


def test_stop_with_a_hung_driver_returns_in_time_and_says_so(bench: CameraBench) -> None:
    bench.capture.start()
    bench.camera.shoot(bench.hang)
    eventually(bench.hanging.is_set)
    assert not bench.capture.stop(0.05)
    bench.capture.check()
    assert bench.capture.status.reason == "door: stopped"


def test_stop_before_start_has_nothing_to_do(bench: CameraBench) -> None:
    assert bench.capture.stop(1)
