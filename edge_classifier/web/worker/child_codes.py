"""What a picture looks like, in a few bytes whose differing bits say how far apart two are.

The features of ``teach``'s base, less their mean over pictures of all kinds of things, are
multiplied by random signs, and of each product the sign is kept: the share of bits in which two
codes differ is, but for chance, the angle between their features over 180 degrees (Charikar 2002,
"Similarity estimation techniques from rounding algorithms"). All of it in whole numbers: the same
features give the same code on any processor.
"""

import hashlib
import io
from dataclasses import replace

import numpy as np

from edge_classifier.core.contract import Crop
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import least_size
from edge_classifier.teach.base import open_base
from edge_classifier.teach.other_things import other_things
from edge_classifier.vision.pictures import load_picture
from edge_classifier.vision.preprocess import Preprocessor
from edge_classifier.web.worker.messages import CODE_BITS, CropBox, EncodeTask

_SUBJECT = "the picture"


class PictureCoder:
    """Codes of pictures by one base."""

    def __init__(self, base: str) -> None:
        """``base``: a name of the catalogue. Raises what ``open_base`` raises."""
        self._base = open_base(base)
        engine, contract = self._base.engine, self._base.contract
        self._least = least_size(contract)
        self._whole = Preprocessor(contract, engine.input, engine.picture)
        # A box is what was seen: nothing is cut off.
        uncut = replace(contract, crop=Crop.SQUASH)
        self._box = Preprocessor(uncut, engine.input, engine.picture)
        others = other_things(self._base)
        mean = others.mean(axis=0) if len(others) else np.zeros(self._base.size)
        self._mean = np.rint(mean).astype(np.float32)
        # -1 and 1, (size, CODE_BITS) of int8: always the same ones.
        drawn = hashlib.shake_256(b"edge-classifier codes 1").digest(
            self._base.size * CODE_BITS // 8
        )
        bits = np.unpackbits(np.frombuffer(drawn, np.uint8)).astype(np.int8)
        self._signs = (2 * bits - 1).reshape(self._base.size, CODE_BITS)

    def code(self, jpeg: bytes, task: EncodeTask) -> bytes:
        """``CODE_BITS`` bits. Raises PictureError."""
        box = task.box
        _, _, width, height = box or CropBox(0.0, 0.0, 1.0, 1.0)
        # So large that the box alone is as large as the network's input.
        least = round(self._least[0] / max(width, 0.05)), round(self._least[1] / max(height, 0.05))
        frame = load_picture(
            _SUBJECT, stream=io.BytesIO(jpeg), at_least=least, pixel_limit=task.pixel_limit
        ).frame
        if box:
            # At least one pixel of it.
            left, top = (
                min(max(round(share * side), 0), side - 1)
                for share, side in ((box.left, frame.width), (box.top, frame.height))
            )
            wide, high = max(1, round(width * frame.width)), max(1, round(height * frame.height))
            part = np.ascontiguousarray(frame.pixels[top : top + high, left : left + wide])
            self._box.write(Frame(part, frame.order))
        else:
            self._whole.write(frame)
        self._base.engine.invoke()
        # Whole numbers below 2^24, which are exact in float32, and quick.
        centred = self._base.engine.scores.astype(np.float32) - self._mean
        return np.packbits(centred @ self._signs.astype(np.float32) > 0).tobytes()
