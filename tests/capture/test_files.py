"""Video files, folders of pictures and missing devices, for real."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_classifier.capture.opencv import DeviceSource, FileSource
from edge_classifier.capture.picture_folder import CACHE_BYTES, FPS, PictureFolderSource
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError, EndOfFrames
from edge_classifier.protocols import FrameSource
from tests.fake_source import FakeClock

LEVELS = (20, 60, 100, 140, 180)


def film(path: Path, levels: tuple[int, ...] = LEVELS) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for level in levels:
        writer.write(np.full((48, 64, 3), (level, 0, 0), np.uint8))
    writer.release()
    return path


def picture(path: Path, level: int, size: tuple[int, int] = (64, 48)) -> Path:
    pixels = np.full((size[1], size[0], 3), (level, 0, 0), np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def next_frame(source: FrameSource) -> Frame:
    source.grab()
    return source.retrieve()


def blue(frame: Frame) -> int:
    """Level of blue, which is all there is in these pictures; to the nearest 10."""
    channels = frame.pixels[20, 20]
    level = channels[0] if frame.order is ColourOrder.BGR else channels[2]
    assert channels[1] < 10
    return round(int(level) / 10) * 10


def test_file_gives_every_frame_in_turn_and_ends(tmp_path: Path) -> None:
    source = FileSource(str(film(tmp_path / "film.avi")), loop=False)
    assert source.open() == "64x48 MJPG 25 fps"
    assert tuple(blue(next_frame(source)) for _ in LEVELS) == LEVELS
    with pytest.raises(EndOfFrames, match=r"film\.avi: was shown to its end"):
        source.grab()
    source.close()


def test_file_that_loops_begins_again(tmp_path: Path) -> None:
    source = FileSource(str(film(tmp_path / "film.avi")), loop=True)
    source.open()
    assert tuple(blue(next_frame(source)) for _ in LEVELS * 3) == LEVELS * 3
    source.close()


def test_file_that_is_not_there_or_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no such file"):
        FileSource(str(tmp_path / "film.mp4"), loop=True).open()
    (tmp_path / "film.mp4").write_text("no video")
    with pytest.raises(CameraError, match="It is no video"):
        FileSource(str(tmp_path / "film.mp4"), loop=True).open()


def test_file_that_is_a_folder_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=f"is a folder. Write pictures:{tmp_path}"):
        FileSource(str(tmp_path), loop=False).open()


def test_file_that_vanishes_while_it_loops_is_lost(tmp_path: Path) -> None:
    path = film(tmp_path / "film.avi")
    source = FileSource(str(path), loop=True)
    source.open()
    path.unlink()
    for _ in LEVELS:
        source.grab()
    with pytest.raises(CameraError, match="no such file"):
        source.grab()
    source.close()


@pytest.mark.parametrize(
    ("device", "problem"),
    [("/dev/video99", r"no such camera.*plugged in"), ("/dev/null", r"cannot be opened.*v4l2-ctl")],
)
def test_device_that_is_no_camera_is_refused(device: str, problem: str) -> None:
    source = DeviceSource(device, size=(640, 480), read_timeout_s=5)
    with pytest.raises(CameraError, match=f"^{device}: .*{problem}"):
        source.open()
    source.close()


def test_source_that_is_not_open_gives_no_frames(tmp_path: Path) -> None:
    source = FileSource(str(film(tmp_path / "film.avi")), loop=True)
    for call in (source.grab, source.retrieve):
        with pytest.raises(CameraError, match="not open"):
            call()
    source.close()


def folder(tmp_path: Path) -> Path:
    for name, level in (("b.png", 60), ("a.png", 20), ("c.png", 100)):
        picture(tmp_path / name, level)
    return tmp_path


def shown(source: FrameSource, count: int) -> list[int]:
    return [blue(next_frame(source)) for _ in range(count)]


def test_pictures_that_arrive_later_are_shown_in_the_next_round(tmp_path: Path) -> None:
    source = PictureFolderSource(str(folder(tmp_path)), loop=True, picture_s=0)
    source.open()
    assert shown(source, 2) == [20, 60]
    picture(tmp_path / "d.png", 140)
    (tmp_path / "a.png").unlink()
    assert shown(source, 4) == [100, 60, 100, 140]
    picture(tmp_path / "b.png", 180)
    assert shown(source, 3) == [180, 100, 140]


def test_pictures_that_cannot_be_decoded_are_told_once_and_tried_again_when_they_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture(tmp_path / "a.png", 60)
    (tmp_path / "b.png").write_bytes(b"half of it has arrived")
    source = PictureFolderSource(str(tmp_path), loop=True, picture_s=0)
    source.open()
    assert shown(source, 5) == [60] * 5
    assert caplog.text.count("b.png") == 1
    picture(tmp_path / "b.png", 100)
    assert set(shown(source, 4)) == {60, 100}


def test_pictures_of_a_folder_come_by_name_and_end(tmp_path: Path) -> None:
    source = PictureFolderSource(str(folder(tmp_path)), loop=False, picture_s=0)
    assert source.open() == "3 pictures"
    assert not source.live
    assert shown(source, 3) == [20, 60, 100]
    with pytest.raises(EndOfFrames, match="every picture was shown"):
        source.grab()


def test_pictures_of_a_glob_begin_again(tmp_path: Path) -> None:
    source = PictureFolderSource(str(folder(tmp_path) / "[ab].png"), loop=True, picture_s=0)
    assert source.open() == "2 pictures"
    assert shown(source, 5) == [20, 60, 20, 60, 20]


def test_pictures_that_cannot_be_decoded_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder(tmp_path)
    (tmp_path / "aa.png").write_text("no picture")
    (tmp_path / "d.jpg").write_bytes(b"")
    source = PictureFolderSource(str(tmp_path), loop=True, picture_s=0)
    source.open()
    assert shown(source, 6) == [20, 60, 100, 20, 60, 100]
    assert source.skipped == 2
    assert len(caplog.records) == 2, "each is reported once, not once a round"


@pytest.mark.parametrize("names", [[], ["a.txt"]])
def test_pictures_of_a_folder_without_any_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("text")
    with pytest.raises(CameraError, match="has no picture in it"):
        PictureFolderSource(str(tmp_path), loop=True, picture_s=0).open()


def test_pictures_that_can_all_not_be_decoded_are_a_lost_camera(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    source = PictureFolderSource(str(tmp_path), loop=True, picture_s=0)
    source.open()
    with pytest.raises(CameraError, match="none of its pictures"):
        source.grab()


def test_pictures_with_a_pace_are_live_and_each_is_shown_for_a_while(tmp_path: Path) -> None:
    clock = FakeClock()
    source = PictureFolderSource(
        str(folder(tmp_path)), loop=True, picture_s=0.5, clock=clock, sleep=clock.add
    )
    source.open()
    assert source.live
    each = round(0.5 * FPS)
    assert shown(source, 4 * each) == [20] * each + [60] * each + [100] * each + [20] * each


def test_pictures_that_fit_are_decoded_once(tmp_path: Path) -> None:
    source = PictureFolderSource(str(folder(tmp_path)), loop=True, picture_s=0)
    source.open()
    first = [next_frame(source) for _ in range(3)]
    assert all(next_frame(source) is frame for frame in first)


def test_pictures_that_do_not_fit_are_decoded_again(tmp_path: Path) -> None:
    side = int((CACHE_BYTES / 3) ** 0.5)
    picture(tmp_path / "a.png", 20, (side, side))
    picture(tmp_path / "b.png", 60, (side, side))
    source = PictureFolderSource(str(tmp_path), loop=True, picture_s=0)
    source.open()
    first = [next_frame(source) for _ in range(2)]
    again = [next_frame(source) for _ in range(2)]
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, False]


def test_pictures_that_are_large_are_decoded_near_the_wanted_size(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", 60, (2560, 1920))
    source = PictureFolderSource(str(tmp_path), loop=True, picture_s=0, at_least=(640, 480))
    source.open()
    frame = next_frame(source)
    assert (frame.width, frame.height) == (640, 480)
