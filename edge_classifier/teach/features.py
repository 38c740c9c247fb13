"""From pictures to features: each is decoded once, for what it is and for what the base sees."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.ahead import work_ahead
from edge_classifier.core.contract import Crop
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import least_size
from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.facts import ENOUGH_PX, PictureFacts, facts_of
from edge_classifier.engine.model_copy import release_unused_memory
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.teach.base import Base
from edge_classifier.teach.feature_cache import FeatureCache
from edge_classifier.vision.pictures import load_picture
from edge_classifier.vision.preprocess import Preprocessor

# Pictures up to which each is looked at a second time, from nearer, off the middle. Of 50, 100 and
# 250 photographs of flowers that gained 1.4, 0.6 and 0.9 points of accuracy, of 1,000 nothing.
_FEW = 500
# Share of the side that a corner has.
_CORNER = 0.75


@dataclass(frozen=True, slots=True)
class EmbeddedPictures:
    """What is known of pictures, by path, and the features of those that could be read."""

    facts: dict[Path, PictureFacts]
    # (pictures, views, features) in the order of the paths, the whole picture first: of 20,000
    # pictures they are too much to be held twice.
    features: NDArray[np.int8]


def embed(
    paths: Sequence[Path], base: Base, cache: FeatureCache, progress: Callable[[int], None]
) -> EmbeddedPictures:
    """Features of all pictures, those that are known from the cache.

    What is wrong with one ends nothing. ``progress`` gets the number that are done.
    """
    views = 2 if len(paths) <= _FEW else 1
    look = _PictureViews(base)
    every: dict[Path, PictureFacts] = {}
    # What is never written takes no memory.
    features, readable = np.empty((len(paths), views, base.size), np.int8), 0

    def read(path: Path) -> tuple[PictureFacts, NDArray[np.int8] | Frame | None]:
        """Facts, and features if they are known, else the picture; None if it cannot be read."""
        try:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            known = cache.load(sha256, views)
            if known is not None:
                return known
            picture = load_picture(str(path), at_least=look.least)
            return facts_of(picture, sha256), picture.frame
        except EdgeClassifierError as error:
            problem = error.problem
        except OSError as error:
            problem = Sentence("cannot be read ({cause})", cause=error.strerror)
        return PictureFacts(0, 0, "", 0, problem), None

    # While the network looks at one picture, a thread reads the next ones.
    reading = zip(paths, work_ahead(read, paths, 1), strict=True)
    for number, (path, (facts, seen)) in enumerate(reading, 1):
        every[path] = facts
        if isinstance(seen, Frame):
            features[readable] = np.stack(list(look.at(seen, views)))
            cache.store(facts, features[readable])
        elif seen is not None:
            features[readable] = seen[:views]
        readable += seen is not None
        progress(number)
    cache.forget_oldest()
    # What decoding has freed.
    release_unused_memory()
    return EmbeddedPictures(every, features[:readable])


class _PictureViews:
    """A picture as the base sees it: as a whole, and its upper left."""

    def __init__(self, base: Base) -> None:
        engine, contract = base.engine, base.contract
        self._engine = engine
        self._whole = Preprocessor(contract, engine.input, engine.picture)
        nearer = replace(contract, crop_fraction=1.0)
        self._corner = Preprocessor(nearer, engine.input, engine.picture)
        width, height = least_size(contract)
        self.least = max(width, ENOUGH_PX), max(height, ENOUGH_PX)

    def at(self, frame: Frame, views: int) -> Iterator[NDArray[np.int8]]:
        """Features of so many views, (features,) each."""
        self._whole.write(frame)
        yield self._run()
        if views > 1:
            # The upper left of the part of a picture that may be seen.
            height, width = frame.pixels.shape[:2]
            top = left = 0
            if self._corner.contract.crop is Crop.CENTER:
                side = min(height, width)
                top, left = (height - side) // 2, (width - side) // 2
                height = width = side
            down, right = max(1, round(_CORNER * height)), max(1, round(_CORNER * width))
            corner = np.ascontiguousarray(frame.pixels[top : top + down, left : left + right])
            self._corner.write(Frame(corner, frame.order))
            yield self._run()

    def _run(self) -> NDArray[np.int8]:
        self._engine.invoke()
        return np.array(self._engine.scores, np.int8)
