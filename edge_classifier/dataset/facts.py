"""What is looked up once in every picture: can it be read, its content, its perceptual hash."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.folder import Dataset, Sample
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.vision.pictures import LoadedPicture, load_picture
from edge_classifier.vision.similarity import perceptual_hash

# Twice what the perceptual hash samples; a phone's JPEG costs a quarter of decoding it whole.
ENOUGH_PX = 256


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """One picture's."""

    # Pixels, as is ``height``: upright, and as decoded. A JPEG of 512 and more is decoded at a
    # half, a quarter or an eighth.
    width: int
    height: int
    # Of the file.
    sha256: str
    # ``vision.similarity.perceptual_hash``.
    hash: int
    # Why it cannot be read; all the rest is then empty.
    problem: str = ""
    # What was left out of it: further frames of an animation.
    note: str = ""


def examine(
    paths: Iterable[Path], *, workers: int, progress: Callable[[int], None]
) -> dict[Path, PictureFacts]:
    """Facts of every picture, read in ``workers`` threads. What is wrong with one ends nothing.

    ``progress`` gets the number of pictures that are done.
    """
    every = list(dict.fromkeys(paths))
    found: dict[Path, PictureFacts] = {}
    pool = ThreadPoolExecutor(workers, "examine")
    try:
        for path, facts in zip(every, pool.map(_examined, every), strict=True):
            found[path] = facts
            progress(len(found))
    finally:
        pool.shutdown(cancel_futures=True)  # Who interrupts does not wait for the rest.
    return found


def readable(samples: Iterable[Sample], facts: Mapping[Path, PictureFacts]) -> tuple[Sample, ...]:
    """The samples whose picture can be read."""
    return tuple(sample for sample in samples if not facts[sample.path].problem)


def fingerprint(dataset: Dataset, facts: Mapping[Path, PictureFacts]) -> str:
    """SHA-256 over labels, relative paths and contents: of the data, wherever they lie."""
    digest = hashlib.sha256(repr(dataset.labels).encode())
    rows = (
        (dataset.place(sample.path), sample.label, facts[sample.path].sha256)
        for sample in dataset.samples
    )
    for row in sorted(rows):
        digest.update(ascii(row).encode())
    return digest.hexdigest()


def _examined(path: Path) -> PictureFacts:
    try:
        picture = load_picture(str(path), at_least=(ENOUGH_PX, ENOUGH_PX))
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except EdgeClassifierError as error:
        return PictureFacts(0, 0, "", 0, error.problem)
    except OSError as error:
        problem = Sentence("cannot be read ({cause})", cause=error.strerror)
        return PictureFacts(0, 0, "", 0, problem)
    return facts_of(picture, sha256)


def facts_of(picture: LoadedPicture, sha256: str) -> PictureFacts:
    """Of a picture that was decoded for at least ENOUGH_PX, from a file with this SHA-256."""
    frame = picture.frame
    return PictureFacts(frame.width, frame.height, sha256, perceptual_hash(frame), "", picture.note)
