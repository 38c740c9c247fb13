"""Small pictures made for tests, and what is asked of decoded ones."""

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_classifier.vision.pictures import load_picture

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


def tiff(width: int, height: int) -> bytes:
    values = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: height}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items()]
    entries.append(struct.pack("<HHII", 279, 4, 1, 100))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(300)


@contextmanager
def pipe_with(path: Path, content: bytes) -> Iterator[str]:
    """A named pipe that somebody writes ``content`` into, as ``<(command)`` makes one."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    yield str(path)
    writer.join(10)
