"""What promises too much is refused before it is decoded; so are streams and pipes."""

import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from edge_classifier.errors import PictureError, UsageError
from edge_classifier.vision.pictures import find_pictures, load_picture
from tests.conftest import REPOSITORY
from tests.vision.pictures.picture_files import (
    corners,
    pipe_with,
    pixels_of,
    png,
    quarters,
    saved,
    tiff,
)


def _bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + bytes(100)


def _gif(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + image + b";"


def _ppm(width: int, height: int) -> bytes:
    return f"P6 {width} {height} 255\n".encode() + bytes(100)


def _jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    quarters().save(stream, "JPEG")
    return stream.getvalue().replace(struct.pack(">HH", 32, 64), struct.pack(">HH", height, width))


def _webp(width: int, height: int) -> bytes:
    """Lossless WebP; its size fields hold 14 bits."""
    stream = io.BytesIO()
    quarters().save(stream, "WEBP", lossless=True)
    data = bytearray(stream.getvalue())
    bits = struct.unpack_from("<I", data, 21)[0] & ~0x0FFF_FFFF
    struct.pack_into("<I", data, 21, bits | (width - 1) | (height - 1) << 14)
    return bytes(data)


_IN_LITTLE_MEMORY = """
import json, resource, sys
from edge_classifier.errors import PictureError
from edge_classifier.vision.pictures import load_picture

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

answers = {}
for path in sys.argv[1:]:
    try:
        load_picture(__file__)
    except PictureError:
        before = peak()
    try:
        load_picture(path)
        answers[path] = ["decoded", 0]
    except PictureError as error:
        answers[path] = [error.problem, peak() - before]
print(json.dumps(answers))
"""


def test_picture_that_promises_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path,
) -> None:
    """A few bytes can promise gigabytes; no format may make this process set them aside."""
    size, small = (60_000, 60_000), (16_000, 16_000)
    made = {
        "png": (png(*size, bytes(100)), size),
        "bmp": (_bmp(*size), size),
        "gif": (_gif(*size), size),
        "tif": (tiff(*size), size),
        "ppm": (_ppm(*size), size),
        "jpg": (_jpeg(*size), size),
        "webp": (_webp(*small), small),
    }
    for suffix, (data, _) in made.items():
        (tmp_path / f"bomb.{suffix}").write_bytes(data)
    script = tmp_path / "measure.py"
    script.write_text(_IN_LITTLE_MEMORY)

    done = subprocess.run(
        [sys.executable, script, *(tmp_path / f"bomb.{suffix}" for suffix in made)],
        capture_output=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
    )

    answers = json.loads(done.stdout)
    for suffix, (_, (width, height)) in made.items():
        problem, grown_kib = answers[str(tmp_path / f"bomb.{suffix}")]
        assert problem == f"has {width} x {height} pixels; 100 million are allowed"
        assert grown_kib < 16_384, suffix
    assert done.stderr == b""


def test_pixel_limit_is_inclusive_and_names_the_option(tmp_path: Path) -> None:
    path = str(saved(tmp_path / "exact.png", quarters()))

    assert load_picture(path, pixel_limit=64 * 32).frame.width == 64
    with pytest.raises(PictureError, match="64 x 32 pixels") as caught:
        load_picture(path, pixel_limit=64 * 32 - 1)
    assert "--max-megapixels" in caught.value.remedy


def test_pixel_limit_may_be_raised_above_pillows_own(tmp_path: Path) -> None:
    """Pillow by itself warns above 89 million pixels and refuses 179 million."""
    path = tmp_path / "panorama.png"
    path.write_bytes(png(65_000, 3_000, bytes(100), depth=1, colour=0))

    with pytest.raises(PictureError, match="truncated"):
        load_picture(str(path), pixel_limit=200_000_000)


def test_stream_in_the_place_of_a_file_is_decoded() -> None:
    stream = io.BytesIO()
    quarters().save(stream, "PNG")
    stream.seek(0)

    assert corners(load_picture("-", stream=stream).frame.pixels) == "rgbw"


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_stream_that_is_no_picture_is_refused_under_its_name(content: bytes) -> None:
    with pytest.raises(PictureError) as caught:
        load_picture("-", stream=io.BytesIO(content))

    assert caught.value.subject == "-"


def test_standard_input_without_a_stream_is_a_wrong_call() -> None:
    with pytest.raises(UsageError):
        load_picture("-")


def test_named_pipe_with_a_picture_is_decoded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    quarters().save(stream, "PNG")

    with pipe_with(tmp_path / "pipe", stream.getvalue()) as name:
        assert list(find_pictures([name])) == [name]
        assert corners(pixels_of(name)) == "rgbw"


@pytest.mark.parametrize(
    ("content", "problem"), [(b"some words", "is not a picture"), (b"", "is empty")]
)
def test_named_pipe_without_a_picture_is_refused(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    with (
        pipe_with(tmp_path / "pipe", content) as name,
        pytest.raises(PictureError, match=problem),
    ):
        load_picture(name)
