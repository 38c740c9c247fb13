from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from edge_classifier.capture.dead_pictures import DeadPictureDetector, is_black
from edge_classifier.capture.frame_slot import STEADY_S, CameraStatus, CapturedFrame, FrameSlot
from edge_classifier.capture.reader import GRACE_S, CameraReader, upright
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError, EndOfFrames
from tests.fake_source import DAMAGED, FakeCamera, FakeClock, Step, plain

LOST = CameraError("fake", "was unplugged")
BRIGHT, BLACK = plain(90), plain(3)
CAMERA = CameraSettings(source="fake", read_timeout_s=5, black_s=30)


@dataclass
class Reading:
    """A reader, without a thread, and what comes of it."""

    camera: FakeCamera
    settings: CameraSettings = CAMERA
    clock: FakeClock = field(default_factory=FakeClock)
    # The status each time the pipeline was woken.
    history: list[tuple[bool, str]] = field(default_factory=list)
    # Whether the pipeline takes frames when it is woken.
    takes: bool = False
    taken: list[CapturedFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slot = FrameSlot(self.note, self.clock, FakeClock(2000.0))
        self.reader = CameraReader(
            "door",
            self.camera.make,
            self.settings,
            self.slot,
            self.slot.replace_reader(),
            DeadPictureDetector(self.settings.black_s, self.settings.frozen_s),
            clock=self.clock,
            utc=FakeClock(2000.0),
            random=lambda: 0.0,
        )

    def note(self) -> None:
        self.history.append((self.status.online, self.status.reason))
        if self.takes and (captured := self.slot.take_frame()):
            self.taken.append(captured)

    @property
    def status(self) -> CameraStatus:
        return self.slot.status(0)

    def run(self, *steps: Step) -> "Reading":
        """Go through ``steps``, and then be cut off."""
        self.camera.shoot(*steps, self.slot.replace_reader, BRIGHT)
        self.reader.run()
        return self

    def later(self, seconds: float) -> Callable[[], None]:
        return lambda: self.clock.add(seconds)


def read(*steps: Step, settings: CameraSettings = CAMERA) -> Reading:
    return Reading(FakeCamera(), settings).run(*steps)


def test_reader_whose_source_is_open_is_not_online_before_a_frame() -> None:
    reading = read()
    assert (reading.status.opened, reading.status.online) == (1, False)
    assert reading.history == []


def test_reader_with_a_first_frame_is_online_and_hands_it_on() -> None:
    reading = read(BRIGHT)
    captured = reading.slot.take_frame()
    assert captured is not None
    assert (captured.frame, captured.number) == (BRIGHT, 1)
    assert (captured.at.utc, captured.at.monotonic) == (2000.0, 1000.0)
    assert reading.history == [(True, "")]


def test_reader_of_a_lost_camera_opens_it_again_and_waits_for_a_frame() -> None:
    reading = read(BRIGHT, LOST, LOST, BRIGHT)
    assert reading.history == [(True, ""), (False, str(LOST)), (False, str(LOST)), (True, "")]
    assert (reading.status.opened, reading.status.failures) == (3, 2)


def test_reader_of_a_lost_camera_leaves_no_old_frame_behind() -> None:
    reading = read(BRIGHT, LOST)
    assert reading.slot.take_frame() is None
    assert reading.status.dropped == 1


def test_reader_closes_every_source_that_it_made() -> None:
    camera = FakeCamera()
    refusals = iter([LOST, LOST, None])

    def refuse() -> None:
        if error := next(refusals):
            raise error

    camera.on_open = refuse
    reading = Reading(camera).run(BRIGHT)
    assert (camera.opened, camera.closed) == (1, 3)
    assert reading.history == [(False, str(LOST)), (False, str(LOST)), (True, "")]


def test_reader_of_a_camera_that_keeps_failing_counts_its_failures() -> None:
    reading, seen = Reading(FakeCamera()), list[int]()
    note: Step = lambda: seen.append(reading.slot.failures_in_a_row)  # noqa: E731
    reading.run(note, LOST, note, LOST, note, BRIGHT, LOST, note)
    assert seen == [0, 1, 2, 3], "a frame alone does not make a camera steady"


def test_reader_of_a_camera_that_was_steady_begins_to_count_again() -> None:
    reading = Reading(FakeCamera())
    reading.run(LOST, LOST, BRIGHT, reading.later(STEADY_S), LOST)
    assert reading.slot.failures_in_a_row == 1


def test_reader_pauses_with_the_settings_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, pauses = Reading(FakeCamera(), replace(CAMERA, retry_max_s=3)), list[float]()
    monkeypatch.setattr(reading.slot, "pause", lambda _, seconds: pauses.append(seconds))
    monkeypatch.setattr(reading.reader, "_random", lambda: 0.5)
    reading.run(LOST, LOST, LOST, LOST)
    assert pauses == [0, 0.5, 1, 1.5, 1.5]


def test_reader_with_a_damaged_frame_stays_online() -> None:
    reading = read(BRIGHT, DAMAGED, DAMAGED, BRIGHT)
    assert {online for online, _ in reading.history} == {True}
    assert reading.status.failures == 0


def test_reader_with_nothing_but_damaged_frames_loses_the_camera() -> None:
    reading = Reading(FakeCamera())
    reading.run(BRIGHT, DAMAGED, reading.later(5), DAMAGED)
    assert not reading.status.online
    assert "damaged" in reading.status.reason


def test_reader_with_a_good_frame_forgives_damaged_ones_before() -> None:
    reading = Reading(FakeCamera())
    reading.run(BRIGHT, DAMAGED, reading.later(4), BRIGHT, DAMAGED, reading.later(4), DAMAGED)
    assert reading.status.online


def test_reader_decodes_only_frames_that_are_wanted() -> None:
    reading = Reading(FakeCamera())

    def want_later() -> None:
        reading.slot.wanted_from = reading.clock.now + 1

    reading.run(BRIGHT, want_later, BRIGHT, BRIGHT, reading.later(1), BRIGHT)
    assert reading.camera.retrieved == 2


def test_reader_of_an_offline_camera_decodes_what_is_not_wanted() -> None:
    reading = Reading(FakeCamera())
    reading.slot.wanted_from = float("inf")
    reading.run(BRIGHT, BRIGHT)
    assert reading.status.online
    assert reading.camera.retrieved == 1


def test_reader_of_a_camera_that_turns_black_loses_it_after_the_limit() -> None:
    reading = Reading(FakeCamera())
    seen: list[bool] = []
    note: Step = lambda: seen.append(reading.status.online)  # noqa: E731
    dark: list[Step] = [reading.later(1), BLACK, reading.later(29), BLACK, note]
    reading.run(BRIGHT, *dark, reading.later(1), BLACK, note)
    assert seen == [True, False]
    assert "black for 30 s" in reading.status.reason


def test_reader_of_a_camera_that_comes_back_black_does_not_flap() -> None:
    reading = Reading(FakeCamera())
    lost: list[Step] = [reading.later(1), BLACK, reading.later(30), BLACK]
    reading.run(BRIGHT, *lost, *lost, *lost, BLACK, reading.later(1), BRIGHT)
    onlines = [online for online, _ in reading.history]
    assert onlines == [True, True, False, False, False, True]
    assert (reading.status.opened, reading.status.failures) == (4, 3)


def test_reader_of_a_camera_that_is_lost_for_black_looks_twice_a_second() -> None:
    reading = Reading(FakeCamera())
    film: list[Step] = [BLACK, reading.later(0.125)]
    reading.run(BRIGHT, reading.later(1), BLACK, reading.later(30), BLACK, *film * 16)
    assert reading.camera.retrieved == 3 + 4


def test_reader_of_a_still_test_picture_keeps_it() -> None:
    reading = Reading(FakeCamera(), replace(CAMERA, frozen_s=10))
    reading.run(BRIGHT, *[step for _ in range(100) for step in (reading.later(1), BRIGHT)])
    assert reading.status.online


def test_reader_of_a_slide_show_keeps_it() -> None:
    reading = Reading(FakeCamera(), replace(CAMERA, frozen_s=10))
    slides: list[Step] = []
    for level in range(60, 90):
        slides += [plain(level), reading.later(2)] * 3
    reading.run(*slides, BRIGHT, reading.later(20), BRIGHT)
    assert reading.status.online


def test_reader_of_a_camera_with_noise_that_freezes_loses_it_after_the_limit() -> None:
    reading = Reading(FakeCamera(), replace(CAMERA, frozen_s=10))
    noise = [step for level in range(60, 70) for step in (plain(level), reading.later(1))]
    seen: list[bool] = []
    note: Step = lambda: seen.append(reading.status.online)  # noqa: E731
    frozen: list[Step] = [BRIGHT, reading.later(1), BRIGHT, reading.later(9), BRIGHT, note]
    reading.run(
        *noise, *frozen, reading.later(1), BRIGHT, note, BRIGHT, note, reading.later(1), plain(60)
    )
    assert seen == [True, False, False]
    assert any("frozen for 10 s" in reason for _, reason in reading.history)
    assert reading.status.online


def test_reader_of_a_camera_that_is_black_by_leave_does_not_call_it_frozen() -> None:
    reading = Reading(FakeCamera(), replace(CAMERA, black_s=0, frozen_s=10))
    noise = [step for level in range(60, 70) for step in (plain(level), reading.later(1))]
    reading.run(*noise, BLACK, reading.later(100), BLACK, reading.later(100), BLACK)
    assert reading.status.online


def test_reader_of_a_dark_camera_that_may_be_black_keeps_it() -> None:
    reading = Reading(FakeCamera(), replace(CAMERA, black_s=0))
    reading.run(BLACK, reading.later(3600), BLACK)
    assert reading.status.online


def test_reader_at_the_end_of_a_file_ends() -> None:
    end = EndOfFrames("film.mp4", "was shown to its end")
    camera = FakeCamera([BRIGHT, plain(60), end], live=False)
    reading = Reading(camera, takes=True)
    reading.reader.run()
    assert [captured.number for captured in reading.taken] == [1, 2]
    assert reading.status.ended
    assert reading.status.reason == "film.mp4: was shown to its end"
    assert camera.closed == 1


def test_reader_of_an_unknown_failure_says_so_without_its_text() -> None:
    reading = read(BRIGHT, RuntimeError("cannot open http://user:secret@host"), BRIGHT)
    assert "RuntimeError" in reading.history[1][1]
    assert "secret" not in str(reading.history)
    assert reading.status.online


@pytest.mark.parametrize("place", ["on_open", "on_retrieve"])
def test_reader_that_was_replaced_closes_and_touches_nothing(place: str) -> None:
    camera = FakeCamera([BRIGHT])
    reading = Reading(camera)
    setattr(camera, place, lambda: reading.slot.shut_out_hung_reader("its driver hangs"))
    reading.reader.run()
    assert camera.closed == 1
    assert reading.slot.take_frame() is None
    assert (reading.status.online, reading.status.opened) == (False, int(place == "on_retrieve"))
    assert reading.status.reason == "its driver hangs"


@pytest.mark.parametrize(
    ("place", "doing", "limit_s"),
    [("on_open", "opening", 10), ("on_retrieve", "reading", 5), ("on_close", "closing", 5)],
)
def test_hung_call_names_it_after_limit_and_grace(place: str, doing: str, limit_s: float) -> None:
    reading, seen = Reading(FakeCamera()), list[str]()
    now = reading.clock.now

    def look() -> None:
        seen.append(reading.reader.hung_call(now + limit_s + GRACE_S))
        seen.append(reading.reader.hung_call(now + limit_s + GRACE_S + 0.01))

    setattr(reading.camera, place, look)
    reading.run(BRIGHT)
    assert seen[:2] == ["", doing]
    assert reading.reader.hung_call(now + 3600) == "", "nothing runs any more"


def test_reader_turns_frames_upright() -> None:
    pixels = np.zeros((24, 32, 3), np.uint8)
    pixels[0, 0] = 200
    reading = read(Frame(pixels), settings=replace(CAMERA, rotate=90))
    captured = reading.slot.take_frame()
    assert captured is not None
    assert (captured.frame.width, captured.frame.height) == (24, 32)
    assert captured.frame.pixels[0, 23, 0] == 200


@pytest.mark.parametrize(
    ("degrees", "corner"), [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))]
)
def test_upright_turns_clockwise(degrees: int, corner: tuple[int, int]) -> None:
    pixels = np.zeros((24, 32, 3), np.uint8)
    pixels[0, 0] = 200
    turned = upright(Frame(pixels), degrees)
    assert tuple(turned.pixels[corner]) == (200, 200, 200)


@pytest.mark.parametrize(
    ("low", "high", "black"),
    [(0, 0, True), (16, 16, True), (0, 7, True), (0, 16, False), (17, 17, False), (0, 90, False)],
)
def test_is_black_for_levels(low: int, high: int, black: bool) -> None:
    pixels = np.full((240, 320, 3), low, np.uint8)
    pixels[80:160, 80:160] = high
    assert is_black(pixels) is black
