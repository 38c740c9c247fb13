"""JPEG frames of cameras: whole, or cut short."""

import contextlib
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.jpeg_scan import is_whole_jpeg
from edge_classifier.errors import PictureError
from edge_classifier.vision import jpeg_frames
from edge_classifier.vision.jpeg_frames import decode_jpeg

KINDS = {
    "baseline": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
}


def frame(kind: str) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels, KINDS[kind])[1])


@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_frame_that_is_cut_anywhere_is_refused(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = frame(kind)
    assert is_whole_jpeg(whole)
    for end in range(len(whole)):
        with pytest.raises(PictureError, match="cut short"):
            decode_jpeg("camera", whole[:end])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_frame_that_runs_into_the_next_one_is_refused(kind: str) -> None:
    whole = frame(kind)
    for end in range(whole.index(b"\xff\xda") + 20, len(whole) - 1, 101):
        assert not is_whole_jpeg(whole[:end] + b"\r\n--frame\r\n\r\n" + whole)


@pytest.mark.parametrize("behind", [b"", b"\0" * 999, b"\r\n--frame\r\n", b"\xff\xd8\xff"])
def test_jpeg_frame_with_something_behind_its_end_is_taken(behind: bytes) -> None:
    picture = decode_jpeg("camera", frame("baseline") + behind)
    assert (picture.width, picture.height) == (96, 64)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xd9", b"\xff\xd8", b"GIF89a", b"\xff" * 99])
def test_jpeg_frame_of_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        decode_jpeg("camera", data)


def test_jpeg_frame_with_damaged_bytes_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    whole, random = frame("baseline"), np.random.default_rng(7)
    for _ in range(200):
        damaged = bytearray(whole)
        for place in random.integers(2, len(whole), 3):
            damaged[place] = random.integers(0, 256)
        with contextlib.suppress(PictureError):
            decode_jpeg("camera", bytes(damaged))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("decoder", ["simplejpeg", "Pillow"])
@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey"])
def test_jpeg_frame_has_the_colours_that_were_written(
    kind: str, decoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if decoder == "Pillow":
        # As where there is no wheel.
        monkeypatch.setattr(jpeg_frames, "simplejpeg", lambda: None)
    else:
        assert jpeg_frames.simplejpeg()
    red = np.full((48, 80, 3), (20, 40, 200), np.uint8)
    pixels = cv2.cvtColor(red, cv2.COLOR_BGR2GRAY) if kind == "grey" else red
    data = bytes(cv2.imencode(".jpg", pixels, KINDS.get(kind, []))[1])
    found = decode_jpeg("camera", data)
    assert found.order is ColourOrder.RGB
    wanted = np.full(3, pixels[0, 0]) if kind == "grey" else np.array((200, 40, 20))
    assert np.abs(found.pixels.astype(int) - wanted).max() <= 3


def test_jpeg_frame_of_four_inks_is_decoded_too() -> None:
    file = io.BytesIO()
    Image.new("CMYK", (32, 16), (0, 255, 255, 0)).save(file, "JPEG", quality=95)
    found = decode_jpeg("camera", file.getvalue())
    assert (found.width, found.height) == (32, 16)


def test_jpeg_frame_that_promises_more_than_there_is_memory_is_refused() -> None:
    data = bytearray(frame("baseline"))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = b"\xff\xdc\xff\xdc"
    with pytest.raises(PictureError):
        decode_jpeg("camera", bytes(data))
