"""A real worker for tests, and files for it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from edge_classifier.web.config.settings import ClassifySettings, UploadSettings
from edge_classifier.web.worker.picture_worker import PictureWorker


@contextmanager
def working(
    models: Path, uploads: UploadSettings = UploadSettings(), **classify: Any
) -> Iterator[PictureWorker]:
    """A worker with these settings; its child ends with the test."""
    worker = PictureWorker(ClassifySettings(**classify), uploads, models)
    try:
        yield worker
    finally:
        worker.close()


def image(size: tuple[int, int] = (320, 240), mode: str = "RGB") -> Image.Image:
    """A picture that is dark on the left and bright on the right, so that turning it shows."""
    return Image.linear_gradient("L").rotate(90).resize(size).convert(mode)


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """``picture`` as a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes) -> Image.Image:
    """What a browser would see."""
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def is_running(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
