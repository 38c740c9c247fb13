"""Pictures as files: every kind that people have, and every kind of damage, made here by Pillow."""

import io
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edge_classifier.errors import ExitCode, MissingFileError, PictureError, UsageError
from edge_classifier.vision.pictures import FORMATS, find_pictures, load_picture

Colour = tuple[int, int, int]
RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 40), (30, 40, 220), (255, 255, 255)
NAMED: dict[str, Colour] = {"r": RED, "g": GREEN, "b": BLUE, "w": WHITE}
# EXIF orientation to the corners as a person sees them (top left, top right, bottom left, bottom
# right) of a picture stored as red, green, blue, white; Exif 2.3, tag 274.
UPRIGHT = {1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "brwg", 7: "wgbr", 8: "gwrb"}
SUFFIX_OF = {"JPEG": "jpg", "PPM": "ppm", "TIFF": "tif"}


def quarters(width: int = 64, height: int = 32) -> Image.Image:
    """Four rectangles: red, green above blue, white."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def scene(width: int, height: int) -> Image.Image:
    """A smooth picture with some edges, as photographs are."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(x / (width / step) + y / (height / 5)) for step in (7, 11, 17)]
    pixels = np.stack(waves, axis=-1).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = RED
    return Image.fromarray(pixels)


def pixels_of(path: Path | str) -> NDArray[np.uint8]:
    return load_picture(str(path)).frame.pixels


def corners(pixels: NDArray[np.uint8]) -> str:
    """The nearest of the four colours at each corner."""
    places = [pixels[3, 3], pixels[3, -4], pixels[-4, 3], pixels[-4, -4]]
    return "".join(
        min(NAMED, key=lambda name: float(np.abs(np.subtract(NAMED[name], place)).sum()))
        for place in places
    )


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def about(pixel: NDArray[np.uint8], colour: Colour, within: int = 12) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= within)


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
    tiff = tmp_path / "samples.tif"
    tiff.write_bytes(_tiff(8, 8).replace(struct.pack("<HHII", 277, 4, 1, 1), _SAMPLES))

    done = subprocess.run(
        [sys.executable, "-c", _LOAD, path, tiff],
        capture_output=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2])),
    )

    assert done.stdout.split() == [b"decoded", b"refused"]
    assert done.stderr == b""


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


def png(width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG by hand: what it promises need not be what it has."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def _bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + bytes(100)


def _gif(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + image + b";"


def _tiff(width: int, height: int) -> bytes:
    values = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: height}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()]
    entries.append(struct.pack("<HHII", 279, 4, 1, 100))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(300)


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
        "tif": (_tiff(*size), size),
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
        env=dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2])),
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


@contextmanager
def pipe_with(path: Path, content: bytes) -> Iterator[str]:
    """A named pipe that somebody writes ``content`` into, as ``<(command)`` makes one."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    yield str(path)
    writer.join(10)


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


def test_missing_picture_is_reported_as_missing(tmp_path: Path) -> None:
    path = str(tmp_path / "none.jpg")

    with pytest.raises(MissingFileError) as caught:
        load_picture(path)
    with pytest.raises(MissingFileError):
        list(find_pictures([path]))

    assert caught.value.exit_code == ExitCode.MISSING_FILE
    assert path in str(caught.value)


def test_folder_as_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="cannot be read"):
        load_picture(str(tmp_path))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of pictures and other things, with names as people give them."""
    folder = tmp_path / "album"
    names = [
        "b.JPG",
        "a.png",
        "Été à Zürich.jpeg",
        "猫 在 箱子.webp",
        "sub/deeper/c.Tiff",
        "sub/d.gif",
    ]
    for name in [*names, "notes.txt", "film.mp4", "sub/.hidden"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_folder_gives_its_pictures_recursively_and_sorted(album: Path) -> None:
    found = [str(Path(name).relative_to(album)) for name in find_pictures([str(album)])]

    assert found == [
        "a.png",
        "b.JPG",
        "Été à Zürich.jpeg",
        "猫 在 箱子.webp",
        "sub/d.gif",
        "sub/deeper/c.Tiff",
    ]


def test_glob_gives_matching_files_sorted(album: Path) -> None:
    found = [Path(name).name for name in find_pictures([f"{album}/*.[jJ]*"])]
    deep = [Path(name).name for name in find_pictures([f"{album}/**/*.[tT]iff"])]

    assert found == ["b.JPG", "Été à Zürich.jpeg"]
    assert deep == ["c.Tiff"]


def test_references_keep_the_order_in_which_they_were_given(album: Path) -> None:
    given = [str(album / "b.JPG"), "-", str(album / "sub"), str(album / "notes.txt")]

    names = [Path(name).name for name in find_pictures(given)]

    assert names == ["b.JPG", "-", "d.gif", "c.Tiff", "notes.txt"]


def test_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "cat [1]*.png", quarters())

    assert list(find_pictures([str(path)])) == [str(path)]


@pytest.mark.parametrize("name", ["mit Leerzeichen.png", "сова.png", "-f.png", "a\nb.png"])
def test_picture_with_an_uncommon_name_is_decoded(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / name, quarters())

    assert list(find_pictures([str(tmp_path)])) == [str(path)]
    assert corners(pixels_of(path)) == "rgbw"


def test_picture_whose_name_is_no_unicode_is_decoded(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(name, "wb") as file:  # noqa: PTH123 (Path takes no bytes)
        quarters().save(file, "PNG")

    (found,) = find_pictures([str(tmp_path)])

    assert os.fsencode(found) == name
    assert corners(pixels_of(found)) == "rgbw"


def test_empty_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(MissingFileError, match="no picture"):
        list(find_pictures([str(tmp_path)]))


def test_glob_without_a_match_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="matches no file"):
        list(find_pictures([f"{tmp_path}/*.jpg"]))


def test_name_that_is_too_long_is_reported_as_missing() -> None:
    with pytest.raises(MissingFileError):
        list(find_pictures(["x" * 5_000 + ".jpg"]))


def test_empty_name_is_not_taken_for_the_current_folder(album: Path) -> None:
    """It is what an unset shell variable leaves, and must not classify whatever lies around."""
    with pytest.raises(MissingFileError):
        list(find_pictures([""]))


def test_folder_with_a_pipe_in_it_does_not_wait_for_the_pipe(album: Path) -> None:
    os.mkfifo(album / "camera.jpg")

    assert "camera.jpg" not in [Path(name).name for name in find_pictures([str(album)])]


def test_folder_with_a_broken_link_gives_it_so_that_it_is_reported(album: Path) -> None:
    (album / "gone.jpg").symlink_to(album / "nowhere.jpg")

    (gone,) = (name for name in find_pictures([str(album)]) if name.endswith("gone.jpg"))

    with pytest.raises(MissingFileError):
        load_picture(gone)


def test_folder_with_a_link_to_itself_ends(album: Path) -> None:
    (album / "round").symlink_to(album)

    assert len(list(find_pictures([str(album)]))) == 6


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Permissions bind everyone but root, so give root's rights up for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def closed_folder() -> Iterator[Path]:
    """A folder that must not be read, below one that everybody can."""
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        parent.chmod(0o755)
        folder = parent / "closed"
        folder.mkdir()
        saved(folder / "cat.png", quarters())
        saved(parent / "secret.png", quarters()).chmod(0)
        folder.chmod(0)
        yield folder
        folder.chmod(0o755)


@pytest.fixture
def closed() -> Iterator[Path]:
    """See ``closed_folder``."""
    with closed_folder() as folder:
        yield folder


def problem_of(reference: str) -> str:
    """What is wrong with one picture."""
    with pytest.raises(PictureError) as caught:
        load_picture(reference)
    return caught.value.problem


def test_unreadable_folder_is_reported_with_the_reason(closed: Path) -> None:
    """Not as an empty one."""
    with as_ordinary_user():
        assert list(find_pictures([str(closed)])) == [str(closed)]
        assert problem_of(str(closed)) == "cannot be read (Permission denied)"


def test_unreadable_folder_inside_another_is_reported_after_the_rest(closed: Path) -> None:
    """It neither goes unmentioned nor keeps the others from being classified."""
    with as_ordinary_user():
        first, last = find_pictures([str(closed.parent)])
        assert Path(first).name == "secret.png"
        assert problem_of(last) == "cannot be read (Permission denied)"


@pytest.mark.parametrize("name", ["closed/cat.png", "secret.png"])
def test_unreadable_picture_is_reported_with_the_reason(name: str, closed: Path) -> None:
    with as_ordinary_user():
        (found,) = find_pictures([str(closed.parent / name)])
        assert problem_of(found) == "cannot be read (Permission denied)"


def test_file_larger_than_any_picture_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        file.truncate(256_000_001)

    with pytest.raises(PictureError, match="larger than 256 MB"):
        load_picture(str(path))
