"""Pictures whose code follows from their colour, and a worker that makes it."""

import io
from datetime import timedelta
from pathlib import Path

from django.utils import timezone
from PIL import Image

from edge_classifier.web.config.settings import ClassifySettings, UploadSettings
from edge_classifier.web.worker.messages import CODE_BITS, CropBox
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web import making


def picture(red: int, number: int = 0) -> bytes:
    """All pictures of one ``red`` look alike; ``number`` makes different ones of them.

    Two whose ``red`` differs by 10 are a hundredth apart.
    """
    return making.jpeg((red, 8 * (number % 32), 8 * (number // 32)))


def seen_before(*names: str) -> None:
    """Have the camera know these labels; what is new there is asked about first, without its pile.

    The records have no picture, so they wait for nobody.
    """
    for name in names:
        making.event(name, at=timezone.now() - timedelta(days=3))


def code(share: float) -> bytes:
    """A code with so many of its bits set."""
    return ((1 << round(share * CODE_BITS)) - 1).to_bytes(CODE_BITS // 8, "big")


class ColourWorker(PictureWorker):
    """Stands for the child process: what is red is far from what is not."""

    def __init__(self) -> None:
        super().__init__(ClassifySettings(), UploadSettings(), Path())
        # The boxes that were asked for.
        self.boxes: list[CropBox | None] = []
        # So many times somebody else is at work.
        self.busy = 0

    def encode_if_idle(self, jpeg: bytes, _base: str, box: CropBox | None = None) -> bytes | None:
        if self.busy:
            self.busy -= 1
            return None
        self.boxes.append(box)
        red = Image.open(io.BytesIO(jpeg)).resize((1, 1)).tobytes()[0]
        return code(round(red / 10) / 100)
