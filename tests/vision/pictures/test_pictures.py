"""Pictures of every format are decoded upright; damaged ones are refused without a word."""

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_classifier.errors import PictureError
from edge_classifier.vision.pictures import FORMATS, load_picture
from tests.conftest import REPOSITORY
from tests.vision.pictures.picture_files import (
    GREEN,
    UPRIGHT,
    corners,
    pixels_of,
    quarters,
    saved,
    scene,
    tiff,
)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_picture_with_exif_orientation_is_upright(
    suffix: str, orientation: int, tmp_path: Path
) -> None:
    """All eight orientations turn the picture as a viewer would."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"turned.{suffix}", quarters(), exif=exif)

    pixels = pixels_of(path)

    assert corners(pixels) == UPRIGHT[orientation]
    assert pixels.shape == ((32, 64, 3) if orientation < 5 else (64, 32, 3))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_turned_jpeg_decoded_small_still_fills_the_wanted_size(
    orientation: int, tmp_path: Path
) -> None:
    """The wanted width is that of the upright picture, not of the stored one."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "turned.jpg", scene(1600, 800), exif=exif)

    frame = load_picture(str(path), at_least=(800, 100)).frame

    assert frame.width >= 800


@pytest.mark.parametrize("value", [0, 9, 65_535])
def test_picture_with_orientation_out_of_range_is_left_as_it_is(value: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = value

    assert corners(pixels_of(saved(tmp_path / "odd.jpg", quarters(), exif=exif))) == UPRIGHT[1]


@pytest.mark.parametrize("damage", ["cut", "noise", "offset", "type", "empty", "endless"])
def test_picture_with_damaged_exif_is_decoded(
    damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """EXIF says nothing of the pixels; what is wrong with it is no news for standard error."""
    exif = Image.Exif()
    exif[0x0112] = 1
    exif[0x010F] = "a maker whose name is too long to be stored inside the entry"
    exif[0x8769] = {0x9003: "2026:11:22 10:00:00"}
    good = exif.tobytes()
    damaged = {
        "cut": good[:-30],
        "noise": b"Exif\0\0" + bytes(range(200)),
        "offset": good.replace(struct.pack(">I", 8), struct.pack(">I", 1 << 30)),
        "type": good[:16] + b"\xff\xff" + good[18:],
        "empty": b"Exif\0\0",
        "endless": b"Exif\0\0MM\0\x2a\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\xff\xff\xff\xff" * 40,
    }[damage]
    path = saved(tmp_path / "damaged.jpg", quarters(), exif=damaged)

    assert corners(pixels_of(path)) == "rgbw"
    assert capfd.readouterr().err == ""


def test_turned_picture_with_other_exif_damaged_is_upright(tmp_path: Path) -> None:
    """An orientation that can be read counts, whatever else is in the EXIF block."""
    entries = [
        struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0),
        struct.pack("<HHII", 0x010F, 2, 400, 1 << 20),  # text outside the block
        struct.pack("<HHII", 0x011A, 5, 1, 1 << 20),  # a rational outside the block
        struct.pack("<HHII", 0x8769, 4, 1, 0xFFFF_FFF0),  # a further directory outside
    ]
    directory = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries)
    path = saved(tmp_path / "turned.jpg", quarters(), exif=b"Exif\0\0" + directory + bytes(4))

    assert corners(pixels_of(path)) == UPRIGHT[6]


_SAMPLES = struct.pack("<HHII", 277, 4, 1, 278)


_LOAD = """
import sys
from edge_classifier.errors import PictureError
from edge_classifier.vision.pictures import load_picture
for path in sys.argv[1:]:
    try:
        load_picture(path)
        print("decoded")
    except PictureError:
        print("refused")
"""


def test_damaged_picture_says_nothing_on_standard_error(tmp_path: Path) -> None:
    """Outside a test run, Pillow's warnings and log would be lines there."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 0x010F, 2, 400, 1 << 20)
    path = saved(tmp_path / "damaged.jpg", quarters(), exif=exif + bytes(4))
    samples = tmp_path / "samples.tif"
    samples.write_bytes(tiff(8, 8).replace(struct.pack("<HHII", 277, 4, 1, 1), _SAMPLES))

    done = subprocess.run(
        [sys.executable, "-c", _LOAD, path, samples],
        capture_output=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=str(REPOSITORY)),
    )

    assert done.stdout.split() == [b"decoded", b"refused"]
    assert done.stderr == b""


@pytest.mark.parametrize(("suffix", "form"), [("mpo", "MPO"), ("tif", "TIFF")])
def test_file_of_several_pictures_gives_its_first_without_a_note(
    suffix: str, form: str, tmp_path: Path
) -> None:
    """A stereo camera's second view, or a scan's second page, is no motion."""
    path = tmp_path / f"two.{suffix}"
    other = [Image.new("RGB", (64, 32), GREEN)]
    quarters().save(path, form, save_all=True, append_images=other)

    picture = load_picture(str(path))

    assert picture.note == ""
    assert corners(picture.frame.pixels) == "rgbw"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.jpg", {}),
        ("progressive.jpg", {"progressive": True, "quality": 90}),
        ("plain.png", {}),
        ("plain.bmp", {}),
        ("plain.ppm", {}),
        ("lossy.webp", {}),
        ("lossless.webp", {"lossless": True}),
        ("plain.tif", {}),
        ("packed.tif", {"compression": "tiff_lzw"}),
        ("jpeg.tif", {"compression": "jpeg"}),
        ("plain.gif", {}),
    ],
)
def test_picture_of_each_known_format_is_decoded(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    picture = load_picture(str(saved(tmp_path / name, quarters(), **options)))

    assert picture.note == ""
    assert (picture.frame.width, picture.frame.height) == (64, 32)
    assert corners(picture.frame.pixels) == "rgbw"


def test_picture_under_a_wrong_suffix_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "really-a-png.jpg"
    quarters().save(path, "PNG")

    assert corners(pixels_of(path)) == "rgbw"


@pytest.mark.parametrize("wanted", [(100, 75), (150, 150), (256, 256), (800, 600), (3000, 3000)])
def test_jpeg_decoded_small_looks_like_the_whole_one_resized(
    wanted: tuple[int, int], tmp_path: Path
) -> None:
    """Decoding at a fraction never goes below what is wanted, and loses nothing above it."""
    path = saved(tmp_path / "large.jpg", scene(1600, 1200), quality=92)
    whole = load_picture(str(path)).frame.pixels

    small = load_picture(str(path), at_least=wanted).frame

    assert small.width >= min(wanted[0], 1600)
    assert small.height >= min(wanted[1], 1200)
    assert small.width < 2 * wanted[0] or small.height < 2 * wanted[1] or small.width == 1600 // 8
    size = min(wanted[0], small.width), min(wanted[1], small.height)
    seen, expected = (
        np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.int16)
        for pixels in (small.pixels, whole)
    )
    assert np.abs(seen - expected).mean() < 2


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kept", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, -20, -12, -4, -2, -1])
def test_truncated_picture_is_refused_unless_nothing_is_lost(
    kept: float, form: str, tmp_path: Path
) -> None:
    path = tmp_path / "cut.jpg"
    scene(96, 64).save(path, form)
    data, whole = path.read_bytes(), pixels_of(path)
    path.write_bytes(data[: int(kept if kept < 0 else kept * len(data))])

    try:
        pixels = pixels_of(path)
    except PictureError as error:
        problem = str(error)
    else:
        problem = "" if (pixels == whole).all() else "decoded, and not the same"

    assert problem == "" or problem.startswith(f"{path}: ")


def test_jpeg_cut_in_half_is_never_decoded_small_either(tmp_path: Path) -> None:
    path = saved(tmp_path / "cut.jpg", scene(1600, 1200))
    path.write_bytes(path.read_bytes()[:-20_000])

    with pytest.raises(PictureError, match="truncated"):
        load_picture(str(path), at_least=(100, 100))


def test_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()

    with pytest.raises(PictureError, match="is empty"):
        load_picture(str(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"just some words\n" * 50),
        ("page.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"),
        ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9"/></svg>'),
        ("one.png", b"\x89"),
        ("zeros.jpg", bytes(10_000)),
        ("archive.jpg", b"PK\x03\x04" + bytes(300)),
        ("icon.ico", b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\x68\4\0\0\x16\0\0\0" + bytes(1128)),
    ],
)
def test_file_that_is_no_picture_is_refused_with_the_known_formats(
    name: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(PictureError, match="is not a picture") as caught:
        load_picture(str(path))

    assert all(form in caught.value.remedy for form in FORMATS)


@pytest.mark.parametrize("name", ["drawing.eps", "drawing.jpg"])
def test_eps_is_refused_and_no_interpreter_started(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow would run Ghostscript on it, which runs what the file says."""
    mark = tmp_path / "ran"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {mark}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / name
    quarters().save(path, "EPS")

    with pytest.raises(PictureError, match="is not a picture"):
        load_picture(str(path))

    assert not mark.exists()
