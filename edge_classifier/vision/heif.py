"""HEIC and AVIF, the pictures of phones: by libraries that not every installation has."""

from importlib import import_module
from typing import BinaryIO

from PIL import Image, features

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import PictureError
from edge_classifier.installation import how_to_add

_AVIF = frozenset((b"avif", b"avis"))
# ISO/IEC 23008-12, annexes B and C: HEVC in a still picture, in a sequence, or any coding at all.
_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"))


def brands(start: bytes) -> frozenset[bytes]:
    """What a file that begins with ``start`` says that it is (ISO/IEC 14496-12, 4.3).

    Empty: not of this family.
    """
    if start[4:8] != b"ftyp":
        return frozenset()
    size = min(int.from_bytes(start[:4], "big"), len(start))
    # The second word is the version of the first.
    words = [start[place : place + 4] for place in range(8, size - 3, 4)]
    return frozenset(words[:1] + words[2:]) & (_AVIF | _HEIC)


def open_heif(reference: str, data: BinaryIO, found: frozenset[bytes]) -> Image.Image:
    """The picture with its size, not decoded yet; ``found``: its brands.

    Raises PictureError, which names the extra, where nothing here can decode it.
    """
    if found & _AVIF:
        # From 11.3 on Pillow has it, where it was built with libavif.
        if "avif" not in features.modules or not features.check("avif"):
            problem = Sentence("is AVIF, which Pillow cannot read here")
            raise PictureError(reference, problem, how_to_add("heic"))
        import_module("PIL.AvifImagePlugin")
        return Image.open(data, formats=("AVIF",))
    try:
        import_module("pillow_heif").register_heif_opener(thumbnails=False)
    except ImportError as error:
        problem = Sentence("is HEIC, which needs the extra [heic]")
        raise PictureError(reference, problem, how_to_add("heic")) from error
    return Image.open(data, formats=("HEIF",))
