"""One lens for several cameras: its frames, its losses, and who may look through it."""

from collections.abc import Iterator

import numpy as np
import pytest

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.capture.shared_frames import SharedFrames
from edge_classifier.core.frame import Frame, PreprocessedFrame
from edge_classifier.errors import CameraError, EndOfFrames
from tests.capture.test_camera import LOST, CameraBench
from tests.fake_source import plain
from tests.waiting import eventually


class SharedBench(CameraBench):
    """``door``, and a second camera that takes its frames."""

    def __init__(self, *, live: bool = True) -> None:
        super().__init__(live=live)
        self.is_on = True
        self.given = 0
        self.second = SharedFrames(
            "door", self.capture, is_switched_on=lambda: self.is_on, wake=self._give
        )
        self.capture.share_with((self.second,))
        self.capture.start()

    def _give(self) -> None:
        self.given += 1

    def shoot(self, *levels: int) -> None:
        """Frames of these grey levels, until the camera's thread has gone through them."""
        seen: list[int] = []
        self.camera.shoot(*map(plain, levels), lambda: seen.append(1))
        eventually(lambda: seen)

    def second_takes(self) -> CapturedFrame:
        captured = self.second.take_frame()
        assert captured is not None
        return captured


@pytest.fixture
def bench() -> Iterator[SharedBench]:
    made = SharedBench()
    yield made
    made.capture._slot.replace_reader()
    made.camera.shoot(*[LOST] * 20)
    assert made.capture.stop(20), "a thread is left"


def test_camera_that_is_opened_once_gives_each_frame_to_both_and_copies_none(
    bench: SharedBench,
) -> None:
    bench.shoot(90)
    first, second = bench.taken(), bench.second_takes()
    assert bench.camera.opened == 1
    assert first.frame.pixels is second.frame.pixels
    assert first.at == second.at
    assert bench.second.take_frame() is None, "a frame is taken once"


def test_each_camera_has_frames_at_its_own_rate_and_none_is_decoded_for_nobody(
    bench: SharedBench,
) -> None:
    bench.shoot(90)
    bench.taken()
    bench.second_takes()
    now = bench.clock()
    bench.capture.wanted_from, bench.second.wanted_from = now + 60, now + 10
    bench.shoot(91)
    assert (bench.camera.retrieved, bench.second.take_frame()) == (1, None)
    bench.clock.add(10)
    bench.shoot(92)
    assert bench.second_takes().frame.pixels[0, 0, 0] == 92
    assert bench.capture.take_frame() is None
    bench.second.wanted_from = now + 3600
    bench.clock.add(50)
    bench.shoot(93)
    assert bench.taken().frame.pixels[0, 0, 0] == 93
    assert bench.second.take_frame() is None
    assert bench.camera.retrieved == 3


def test_each_camera_has_frames_prepared_for_its_own_network(bench: SharedBench) -> None:
    def prepare(owner: object) -> PreprocessedFrame:
        return PreprocessedFrame(np.zeros((2, 2, 3), np.uint8), owner, 0.0)

    def for_first(_: Frame) -> PreprocessedFrame:
        return prepare("first")

    def for_second(_: Frame) -> PreprocessedFrame:
        return prepare("second")

    bench.capture.prepare, bench.second.prepare = for_first, for_second
    bench.shoot(90)
    made = [one.prepared for one in (bench.taken(), bench.second_takes())]
    assert [one.preprocessor for one in made if one] == ["first", "second"]


def test_second_camera_that_is_late_has_the_newest_frame_and_counts_the_others(
    bench: SharedBench,
) -> None:
    bench.shoot(*range(40, 50))
    assert bench.second_takes().frame.pixels[0, 0, 0] == 49
    assert bench.second.status.dropped == 9


@pytest.mark.parametrize("lost", [LOST, EndOfFrames("fake", "everything was shown")])
def test_camera_that_is_lost_is_lost_for_both_for_the_same_reason(
    bench: SharedBench, lost: Exception
) -> None:
    bench.shoot(90)
    assert bench.second.status.online
    bench.taken()
    bench.camera.shoot(lost)
    eventually(lambda: not bench.capture.status.online)
    first, second = bench.capture.status, bench.second.status
    assert (second.online, second.reason) == (False, first.reason)
    assert second.failures == first.failures


def test_camera_that_comes_back_gives_both_frames_of_another_opening(bench: SharedBench) -> None:
    bench.shoot(90)
    before = bench.taken(), bench.second_takes()
    bench.shoot(91)
    bench.camera.shoot(CameraError("door", "was unplugged"))
    eventually(lambda: not bench.second.status.online)
    assert bench.second.take_frame() is None, "an offline camera gives no frames"
    bench.shoot(92)
    after = bench.taken(), bench.second_takes()
    assert [one.opening for one in (*before, *after)] == [1, 1, 2, 2]
    assert bench.second.status.online
    assert bench.camera.opened == 2


def test_nobody_looks_through_the_lens_of_a_camera_that_is_switched_off(bench: SharedBench) -> None:
    bench.shoot(90)
    before = bench.second_takes()
    bench.shoot(91)
    bench.is_on = False
    assert bench.second.take_frame() is None, "it came before, and is not to be seen any more"
    bench.shoot(92)
    assert bench.second.take_frame() is None
    status = bench.second.status
    assert (status.online, status.reason) == (
        False,
        "door, whose frames it takes, is switched off",
    )
    bench.is_on = True
    assert bench.second.status.online
    assert bench.second.take_frame() is None
    bench.shoot(93)
    after = bench.second_takes()
    assert after.frame.pixels[0, 0, 0] == 93
    assert after.opening > before.opening, "what was seen has a gap"


def test_frames_of_a_video_go_to_both_and_wait_for_their_owner() -> None:
    bench = SharedBench(live=False)
    bench.camera.shoot(*map(plain, range(90, 94)))
    for number, level in enumerate((90, 91, 92), 1):
        # The next one is there, and goes to nobody before its owner has taken this one.
        eventually(lambda: bench.camera.retrieved == number + 1)  # noqa: B023 (called here)
        assert bench.given == number
        assert bench.second_takes().frame.pixels[0, 0, 0] == level
        assert bench.second.take_frame() is None
        assert bench.taken().frame.pixels[0, 0, 0] == level
    bench.taken()
    bench.camera.shoot(EndOfFrames("fake", "everything was shown"))
    eventually(lambda: bench.second.status.ended)
    assert bench.capture.stop(20)
