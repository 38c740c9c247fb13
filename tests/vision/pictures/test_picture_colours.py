"""Grey, transparent, 16-bit, CMYK and animated pictures become the RGB that a person sees."""

import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_classifier.errors import ExitCode, PictureError
from edge_classifier.vision.pictures import load_picture
from tests.vision.pictures.picture_files import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    Colour,
    about,
    corners,
    pixels_of,
    png,
    quarters,
    saved,
    scene,
)


def test_grey_picture_becomes_three_equal_channels(tmp_path: Path) -> None:
    pixels = pixels_of(saved(tmp_path / "grey.png", Image.new("L", (9, 7), 77)))

    assert pixels.shape == (7, 9, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == 77).all()


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_transparent_pixels_become_white_and_half_transparent_ones_lighter(
    suffix: str, tmp_path: Path
) -> None:
    image = Image.new("RGBA", (30, 8), (200, 0, 0, 255))
    image.paste((200, 0, 0, 0), (10, 0, 20, 8))
    image.paste((200, 0, 0, 128), (20, 0, 30, 8))
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}

    pixels = pixels_of(saved(tmp_path / f"clear.{suffix}", image, **options))

    assert tuple(pixels[4, 5]) == (200, 0, 0)
    assert tuple(pixels[4, 15]) == WHITE
    assert about(pixels[4, 25], (227, 127, 127), 2)


def test_transparent_grey_becomes_white(tmp_path: Path) -> None:
    image = Image.new("LA", (20, 8), (50, 255))
    image.paste((50, 0), (10, 0, 20, 8))

    pixels = pixels_of(saved(tmp_path / "clear.png", image))

    assert tuple(pixels[4, 5]) == (50, 50, 50)
    assert tuple(pixels[4, 15]) == WHITE


@pytest.mark.parametrize(("suffix", "transparency"), [("png", 1), ("png", b"\xff\0"), ("gif", 1)])
def test_transparent_palette_entry_becomes_white(
    suffix: str, transparency: int | bytes, tmp_path: Path
) -> None:
    """One transparent entry, or an opacity for each entry as PNG allows."""
    image = Image.new("P", (20, 8), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (10, 0, 20, 8))

    pixels = pixels_of(saved(tmp_path / f"clear.{suffix}", image, transparency=transparency))

    assert tuple(pixels[4, 5]) == (200, 0, 0)
    assert tuple(pixels[4, 15]) == WHITE


@pytest.mark.parametrize(
    ("mode", "opaque", "clear"), [("RGB", RED, (0, 0, 0)), ("L", 60, 0), ("1", 1, 0)]
)
def test_colour_that_png_declares_transparent_becomes_white(
    mode: str, opaque: int | Colour, clear: int | Colour, tmp_path: Path
) -> None:
    """PNG's tRNS chunk names one colour of a picture without an alpha channel."""
    image = Image.new(mode, (20, 8), opaque)
    image.paste(clear, (10, 0, 20, 8))

    pixels = pixels_of(saved(tmp_path / "key.png", image, transparency=clear))

    expected = {"RGB": RED, "L": (60, 60, 60), "1": WHITE}[mode]
    assert tuple(pixels[4, 5]) == expected
    assert tuple(pixels[4, 15]) == WHITE


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "pbm"])
def test_one_bit_picture_becomes_black_and_white(suffix: str, tmp_path: Path) -> None:
    image = Image.new("1", (20, 8), 0)
    image.paste(1, (10, 0, 20, 8))

    pixels = pixels_of(saved(tmp_path / f"bits.{suffix}", image))

    assert tuple(pixels[4, 5]) == (0, 0, 0)
    assert tuple(pixels[4, 15]) == WHITE


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bit_grey_keeps_its_high_byte(suffix: str, tmp_path: Path) -> None:
    samples = np.array([[0, 255, 256, 32_767, 32_768, 65_279, 65_280, 65_535]] * 4, np.uint16)

    pixels = pixels_of(saved(tmp_path / f"deep.{suffix}", Image.fromarray(samples)))

    assert pixels[0, :, 0].tolist() == [0, 0, 1, 127, 128, 254, 255, 255]
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("low", "high"), [(0, 4095), (300, 1200), (29_300, 31_100)], ids=["12-bit", "depth", "thermal"]
)
def test_sixteen_bit_grey_with_little_in_it_is_stretched_and_says_so(
    suffix: str, low: int, high: int, tmp_path: Path
) -> None:
    samples = np.linspace(low, high, 64 * 48).round().astype(np.uint16).reshape(48, 64)

    loaded = load_picture(str(saved(tmp_path / f"deep.{suffix}", Image.fromarray(samples))))

    grey = loaded.frame.pixels[..., 1]
    assert (grey[0, 0], grey[-1, -1]) == (0, 255)
    assert abs(int(grey.mean()) - 127) <= 1
    assert re.fullmatch(r"more than 8 bits: \d+ to \d+ were made black to white", loaded.note)


def test_sixteen_bit_grey_with_a_dead_pixel_is_stretched_all_the_same(tmp_path: Path) -> None:
    samples = np.linspace(300, 1200, 64 * 48).round().astype(np.uint16).reshape(48, 64)
    samples[5, 5] = 20_000

    grey = pixels_of(saved(tmp_path / "deep.png", Image.fromarray(samples)))[..., 0]

    assert abs(int(np.median(grey)) - 127) <= 1


def test_tiff_with_odd_tags_writes_nothing_of_its_own(tmp_path: Path) -> None:
    path = saved(tmp_path / "odd.tif", scene(64, 48), compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = b"\xa5" * (
        len(content) // 2 - len(content) // 3
    )
    path.write_bytes(content)
    code = """
import sys
from edge_classifier.errors import PictureError
from edge_classifier.vision.pictures import load_picture
try:
    load_picture(sys.argv[1])
except PictureError:
    print("refused")
"""

    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert (done.stdout.strip(), done.stderr) in (("refused", ""), ("", ""))


def test_sixteen_bit_tiff_of_the_other_byte_order_keeps_its_high_byte(tmp_path: Path) -> None:
    samples = np.array([[0, 256, 65_535]], ">u2")
    image = Image.frombytes("I;16B", (3, 1), samples.tobytes())

    assert pixels_of(saved(tmp_path / "deep.tif", image))[0, :, 0].tolist() == [0, 1, 255]


def test_sixteen_bit_colour_png_keeps_its_high_bytes(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">6H", 65_535, 32_768, 256, 0, 255, 65_280)
    path = tmp_path / "deep.png"
    path.write_bytes(png(2, 1, rows, depth=16, colour=2))

    assert pixels_of(path)[0].tolist() == [[255, 128, 1], [0, 0, 255]]


def test_floating_point_tiff_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = saved(tmp_path / "real.tif", Image.new("F", (8, 8), 0.5))

    with pytest.raises(PictureError, match="floating-point") as caught:
        load_picture(str(path))

    assert caught.value.subject == str(path)
    assert caught.value.exit_code == ExitCode.BAD_DATA


def test_cmyk_jpeg_has_about_the_right_colours(tmp_path: Path) -> None:
    path = saved(tmp_path / "print.jpg", quarters().convert("CMYK"), quality=95)

    pixels = pixels_of(path)

    assert corners(pixels) == "rgbw"
    assert all(
        about(pixels[y, x], colour, 20)
        for y, x, colour in [(8, 16, RED), (8, 48, GREEN), (24, 16, BLUE), (24, 48, WHITE)]
    )


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_animation_gives_its_first_frame_and_says_so(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    path = saved(tmp_path / f"moving.{suffix}", frames[0], save_all=True, append_images=frames[1:])

    picture = load_picture(str(path))

    assert picture.note == "animated: the first of 3 frames"
    assert about(picture.frame.pixels[8, 8], RED)
