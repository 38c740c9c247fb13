"""Damaged pictures, and the decoder."""

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.vision.pictures import load_picture
from tests.mutations.damage import Findings, mutated


def pictures() -> Iterator[bytes]:
    """Small ones of every kind that is read."""
    y, x = np.mgrid[0:24, 0:40]
    pixels = np.stack((x * 6, y * 10, (x * y) % 256), axis=-1).astype(np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a maker with a name"

    def moving() -> dict[str, Any]:  # Made anew each time: saving leaves traces in an image.
        return {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}

    made: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("JPEG", image, {"exif": exif}),
        ("JPEG", image, {"progressive": True}),
        ("JPEG", image.convert("CMYK"), {}),
        ("MPO", image, moving()),
        ("PNG", image, {"exif": exif}),
        ("PNG", image.convert("RGBA"), {}),
        ("PNG", image.quantize(16), {"transparency": 3}),
        ("PNG", image, moving()),
        ("GIF", image.quantize(16), {}),
        ("GIF", image, moving()),
        ("WEBP", image, {"exif": exif}),
        ("WEBP", image.convert("RGBA"), {"lossless": True}),
        ("WEBP", image, moving()),
        ("BMP", image, {}),
        ("BMP", image.quantize(16), {}),
        ("TIFF", image, {"exif": exif}),
        ("TIFF", image, {"compression": "tiff_lzw"}),
        ("TIFF", image, {"compression": "jpeg"}),
        ("TIFF", image.convert("1"), {"compression": "group4"}),
        ("TIFF", image, moving()),
        ("PPM", image, {}),
    ]
    for form, picture, options in made:
        stream = io.BytesIO()
        picture.copy().save(stream, form, **options)
        yield stream.getvalue()


def try_pictures(count: int, source: random.Random, *, tiff: bool | None = None) -> Findings:
    """Each gives a picture or one of this project's errors. ``tiff``: only those, or no such."""
    findings = Findings()
    seeds = [data for data in pictures() if tiff is None or data.startswith((b"II", b"MM")) == tiff]
    for number in range(count):
        data = mutated(seeds[number % len(seeds)], source)
        at_least = source.choice((None, (10, 10)))
        with findings.trial(f"picture {number}", EdgeClassifierError, limit_s=10):
            frame = load_picture("mutated", stream=io.BytesIO(data), at_least=at_least).frame
            assert frame.pixels.dtype == np.uint8
            assert frame.pixels.shape == (frame.height, frame.width, 3)
    return findings
