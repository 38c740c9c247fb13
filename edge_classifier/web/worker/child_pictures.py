"""Shrinking and encoding pictures, with Pillow alone."""

import io

from PIL import Image

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import PictureError
from edge_classifier.web.worker.messages import THUMBNAIL_PX

# Of what is kept, for reviewers and for training: hardly to be told from the upload.
QUALITY = 88
_THUMBNAIL_QUALITY = 80
_SUBJECT = "the snapshot"


def thumbnail_of(jpeg: bytes, pixel_limit: int) -> bytes:
    """A small JPEG of ``jpeg``, which came over MQTT and may be anything. Raises PictureError."""
    try:
        image = Image.open(io.BytesIO(jpeg), formats=("JPEG",))
        if image.width * image.height > pixel_limit:
            size, limit = f"{image.width} x {image.height}", f"{pixel_limit / 1e6:g} million"
            problem = Sentence("has {size} pixels; {limit} are allowed", size=size, limit=limit)
            raise PictureError(_SUBJECT, problem)
        image.draft("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
        return thumbnail(image.convert("RGB"))
    except PictureError:
        raise
    except MemoryError as error:
        problem = Sentence("needs more memory than there is")
        raise PictureError(_SUBJECT, problem) from error
    except Exception as error:  # Decoders raise whatever damaged bytes lead them to.
        problem = Sentence("cannot be decoded ({cause})", cause=str(error))
        raise PictureError(_SUBJECT, problem) from error


def thumbnail(image: Image.Image) -> bytes:
    """``image`` as a small JPEG."""
    return encoded(shrunk(image, THUMBNAIL_PX), _THUMBNAIL_QUALITY)


def shrunk(image: Image.Image, side_px: int) -> Image.Image:
    """``image`` with at most ``side_px`` on its long side; a smaller one as it is."""
    small = image.copy()
    small.thumbnail((side_px, side_px))
    return small


def encoded(image: Image.Image, quality: int = QUALITY) -> bytes:
    """``image`` as a JPEG of its pixels: Pillow would keep comments that it finds in ``info``."""
    image.info = {}
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()
