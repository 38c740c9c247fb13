"""HEIC and AVIF, as phones save them."""

import io
import re
import sys
from pathlib import Path

import pytest
from PIL import Image, features

from edge_classifier.errors import PictureError, TooManyPixelsError
from edge_classifier.installation import how_to_add
from edge_classifier.vision.pictures import find_pictures, load_picture
from tests.vision.pictures.picture_files import corners, quarters

needs_avif = pytest.mark.skipif(
    "avif" not in features.modules or not features.check("avif"),
    reason="this Pillow was built without AVIF",
)


@pytest.fixture
def heic(tmp_path: Path) -> Path:
    """A picture that a phone was turned for: stored upright is left to whoever reads it."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    pillow_heif.register_heif_opener()
    image = quarters().rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    path = tmp_path / "phone.HEIC"
    image.save(path, "HEIF", quality=95)
    return path


def avif(path: Path, **options: object) -> Path:
    quarters().save(path, "AVIF", quality=95, **options)
    return path


@needs_avif
def test_avif_is_read_whatever_its_name(tmp_path: Path) -> None:
    pixels = load_picture(str(avif(tmp_path / "a.jpg"))).frame.pixels
    assert corners(pixels) == "rgbw"
    assert pixels.shape == (32, 64, 3)


@needs_avif
def test_avif_is_put_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert corners(load_picture(str(avif(tmp_path / "a.avif", exif=exif))).frame.pixels) == "brwg"


def test_heic_is_read_and_put_upright(heic: Path) -> None:
    found = load_picture(str(heic))
    assert corners(found.frame.pixels) == "rgbw"
    assert found.frame.pixels.shape == (32, 64, 3)


def test_heic_larger_than_allowed_is_refused_before_it_is_decoded(heic: Path) -> None:
    with pytest.raises(TooManyPixelsError):
        load_picture(str(heic), pixel_limit=1000)


@needs_avif
def test_avif_larger_than_allowed_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(TooManyPixelsError):
        load_picture(str(avif(tmp_path / "a.avif")), pixel_limit=1000)


def test_heic_without_the_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    start = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(PictureError, match=re.escape(how_to_add("heic"))):
        load_picture("phone.heic", stream=io.BytesIO(start))


def test_avif_that_this_pillow_cannot_read_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(features.modules, "avif", ("PIL._nothing", "nothing"))
    start = b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1" + bytes(100)
    with pytest.raises(PictureError, match=r"is AVIF.*" + re.escape(how_to_add("heic"))):
        load_picture("picture.avif", stream=io.BytesIO(start))


@pytest.mark.parametrize(
    "start",
    [
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0\0\0\x08ftyp",
        b"\xff\xff\xff\xffftyp",
        b"\0\0\0\x18ftyp",
    ],
)
def test_other_files_of_that_family_are_no_pictures(start: bytes) -> None:
    with pytest.raises(PictureError, match="is not a picture"):
        load_picture("film.mp4", stream=io.BytesIO(start))


def test_damaged_ones_are_told_as_such(heic: Path) -> None:
    data = heic.read_bytes()
    for cut in (30, len(data) // 2, len(data) - 10):
        with pytest.raises(PictureError):
            load_picture("cut.heic", stream=io.BytesIO(data[:cut]))


def test_folders_give_them_as_any_picture(tmp_path: Path) -> None:
    for name in ("a.heic", "b.AVIF", "c.jpg", "d.dng"):
        (tmp_path / name).touch()
    assert len(list(find_pictures([str(tmp_path)]))) == 3
