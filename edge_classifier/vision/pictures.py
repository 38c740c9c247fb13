"""Pictures as files: finding them, and decoding them without trusting them."""

import io
import logging
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from edge_classifier.core.frame import Frame
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import MissingFileError, PictureError, TooManyPixelsError, UsageError
from edge_classifier.vision.eight_bits import eight_bits

STANDARD_INPUT = "-"
# Decoders that are tried, by content. No others: each is code that strangers' bytes reach. The last
# two come last because Pillow loads all its plug-ins to find them.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "WEBP", "TIFF")
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".bmp", ".dib")
) | frozenset((".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".heic", ".heif", ".hif", ".avif"))
# Width times height of the largest picture that is decoded: 300 MB of RGB.
PIXEL_LIMIT = 100_000_000
BYTE_LIMIT = 256_000_000
_COPY = Sentence("Copy it again, or leave it out.")
_ORIENTATION = 0x0112  # Exif 2.3, tag 274
# What puts a picture of each orientation upright; from 5 on, width and height change places.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG = b"\xff\xd8\xff"
# Of a file, to tell what it is.
_START_BYTES = 64
_SCALABLE = ("JPEG", "MPO")
_PILLOW = r"PIL\."
_TOO_LARGE = Sentence("needs more memory than there is")
_NOWHERE = logging.NullHandler()
_SILENCE = ("ignore", None, Warning, re.compile(_PILLOW), 0)
_MANY_PICTURES = ("MPO", "TIFF", "HEIF")  # Their further frames are other pictures, not a motion.
# Pillow opens 16-bit PNG as mode I or I;16.
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True)
class LoadedPicture:
    """A decoded file."""

    frame: Frame
    # What was left out or made of it, for people: other frames of an animation, deep samples.
    note: str = ""


def find_pictures(references: Iterable[str]) -> Iterator[str]:
    """Files for each of ``references``: a file, a folder (recursive), a glob, or ``-``.

    Files named outright are given as they are, whatever their suffix; folders give files with one
    of ``SUFFIXES``, sorted. What is there and cannot be read is given, too: ``load_picture``
    says why. Raises MissingFileError for what is not there, and for a folder or glob without a
    picture.
    """
    for reference in references:
        if not reference:
            raise MissingFileError("''", "an empty name is not a file or folder")
        mode = _mode(reference)
        if reference == STANDARD_INPUT or stat.S_ISREG(mode or 0):
            yield reference
        elif stat.S_ISDIR(mode or 0):
            yield from _or_none(reference, _in_folder(reference), "has no picture in it")
        elif any(sign in reference for sign in "*?["):
            import glob  # Here, because few runs name one.

            found = sorted(glob.glob(reference, recursive=True))
            files = (name for name in found if stat.S_ISREG(_mode(name) or 0))
            yield from _or_none(reference, files, "matches no file")
        else:
            # A device or pipe is not a regular file, and can still be read.
            if mode is None:
                raise MissingFileError(reference, "no such file or folder")
            yield reference


def load_picture(
    reference: str,
    *,
    stream: BinaryIO | None = None,
    at_least: tuple[int, int] | None = None,
    pixel_limit: int = PIXEL_LIMIT,
) -> LoadedPicture:
    """Decode a file, or ``stream`` in its place, to RGB as a person would see it.

    EXIF orientation is applied, transparency is put on white, 16 bits become 8 as ``eight_bits``
    says, an animation gives its first frame. A JPEG of much more than ``at_least`` (width, height)
    pixels is decoded at a half, a quarter or an eighth, which costs a fraction and loses nothing
    that resizing to that size keeps. Raises PictureError; MissingFileError when there is no such
    file.
    """
    with _rewindable(reference, stream or _open(reference)) as data:
        Image.MAX_IMAGE_PIXELS = None  # The limit below is ours, and earlier than decoding, too.
        # Its warnings and its log stay off standard error: what matters is raised, too.
        logging.getLogger("PIL").addHandler(_NOWHERE)
        if _SILENCE not in warnings.filters:  # Looked up first: threads share the list.
            warnings.filterwarnings("ignore", module=_PILLOW)
        try:
            image = _identified(reference, data)
        except MemoryError as error:
            raise PictureError(reference, _TOO_LARGE) from error
        except PictureError:
            raise
        except Exception as error:  # Decoders raise whatever damaged bytes lead them to.
            raise _unreadable(reference, data, error) from error
        width, height = image.size
        if width * height > pixel_limit:
            raise TooManyPixelsError(
                reference,
                Sentence(
                    "has {width} x {height} pixels; {limit} million are allowed",
                    width=width,
                    height=height,
                    limit=f"{pixel_limit / 1e6:g}",
                ),
                Sentence("Shrink it, or raise --max-megapixels if you trust it."),
            )
        try:
            return _decode(image, at_least)
        except MemoryError as error:
            raise PictureError(reference, _TOO_LARGE) from error
        except Exception as error:
            problem = Sentence("cannot be decoded ({cause})", cause=_cause(error))
            raise PictureError(reference, problem, _COPY) from error


def _identified(reference: str, data: BinaryIO) -> Image.Image:
    """The picture with its size, not decoded yet."""
    start = data.read(_START_BYTES)
    data.seek(0)
    if start.startswith(_JPEG):
        # What Image.open calls, too; that first loads the plug-ins of four other formats.
        from PIL.JpegImagePlugin import jpeg_factory

        return jpeg_factory(data)
    if start[4:8] == b"ftyp":
        from edge_classifier.vision import heif

        if found := heif.brands(start):
            return heif.open_heif(reference, data, found)
    from edge_classifier.vision.libtiff import silence_libtiff

    silence_libtiff()
    return Image.open(data, formats=FORMATS)


def _decode(image: Image.Image, at_least: tuple[int, int] | None) -> LoadedPicture:
    frames = getattr(image, "n_frames", 1) if image.format not in _MANY_PICTURES else 1
    note = Sentence("animated: the first of {frames} frames", frames=frames) if frames > 1 else ""
    if at_least and image.format in _SCALABLE:
        image.draft("RGB", at_least if _orientation(image) < 5 else at_least[::-1])
    image.load()
    # Not exif_transpose, which also writes the EXIF block anew and fails on a damaged one.
    turn = _TURNS.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode in _SIXTEEN_BIT or image.mode == "I":
        grey, stretched = eight_bits(np.asarray(image))
        if stretched:
            note = Sentence(
                "more than 8 bits: {low} to {high} were made black to white",
                low=stretched[0],
                high=stretched[1],
            )
        return LoadedPicture(Frame(np.repeat(grey[:, :, np.newaxis], 3, axis=2)), note)
    pixels = np.asarray(_to_rgb(image), dtype=np.uint8)
    return LoadedPicture(Frame(pixels), note)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 (damaged EXIF says nothing of the pixels)
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any mode as RGB; ``PIL.Image`` modes are listed in Pillow's concepts documentation."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed white")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return image.convert("RGB")


def _open(reference: str) -> BinaryIO:
    if reference == STANDARD_INPUT:
        raise UsageError(reference, "standard input is not read here", "Name a file.")
    try:
        path = Path(reference)
        _require_bytes(reference, path.stat().st_size)
        return path.open("rb")
    except FileNotFoundError as error:
        raise MissingFileError(reference, Sentence("no such file")) from error
    except OSError as error:
        problem = Sentence("cannot be read ({cause})", cause=error.strerror)
        raise PictureError(reference, problem) from error


def _rewindable(reference: str, data: BinaryIO) -> BinaryIO:
    """``data`` itself or, as formats are tried one after another, the whole content of a pipe."""
    if data.seekable():
        return data
    with data:
        content = data.read(BYTE_LIMIT + 1)
    _require_bytes(reference, len(content))
    return io.BytesIO(content)


def _require_bytes(reference: str, size: int) -> None:
    if size > BYTE_LIMIT:
        problem = Sentence("is larger than {limit} MB", limit=BYTE_LIMIT // 1_000_000)
        raise PictureError(reference, problem)


def _unreadable(reference: str, data: BinaryIO, error: Exception) -> PictureError:
    data.seek(0)
    if not data.read(1):
        return PictureError(reference, Sentence("is empty"), _COPY)
    if isinstance(error, UnidentifiedImageError):
        remedy = Sentence("Known formats are {formats}, HEIC, AVIF.", formats=", ".join(FORMATS))
        return PictureError(reference, Sentence("is not a picture"), remedy)
    problem = Sentence("cannot be read as a picture ({cause})", cause=_cause(error))
    return PictureError(reference, problem, _COPY)


def _cause(error: Exception) -> str:
    return f"{error}" or type(error).__name__


def _mode(reference: str) -> int | None:
    """What a name stands for; 0 where this user must not look, None if there is no such thing."""
    try:
        return Path(reference).stat().st_mode
    except PermissionError:
        return 0
    except (OSError, ValueError):  # Among others a name that is too long.
        return None


def _in_folder(folder: str) -> Iterator[str]:
    """Pictures, links that lead nowhere, and last the folders that cannot be read."""
    unreadable: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = str(Path(parent, name))
            if Path(name).suffix.lower() in SUFFIXES:
                mode = _mode(path)
                if not mode or stat.S_ISREG(mode):  # Opening a pipe could wait for ever.
                    yield path
    yield from (str(error.filename or folder) for error in unreadable)


def _or_none(reference: str, files: Iterable[str], problem: str) -> Iterator[str]:
    none = True
    for file in files:
        none = False
        yield file
    if none:
        raise MissingFileError(reference, problem)
