"""What was named, one picture after another: files, addresses, and the seconds of videos."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from edge_classifier.batch import BatchItem, classify_all
from edge_classifier.classifier import Classifier
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.vision.pictures import SUFFIXES, LoadedPicture, find_pictures


def find_inputs(names: Iterable[str]) -> list[str]:
    """Files and addresses. Raises MissingFileError, and UsageError for an address of no picture."""
    found: list[str] = []
    for name in names:
        if is_address(name):
            from edge_classifier.cli.classify.fetch import require_web_address

            require_web_address(name)
            found.append(name)
        else:
            found += find_pictures([name])
    return found


def is_address(reference: str) -> bool:
    """Whether it is not a file."""
    return "://" in reference


def is_video(reference: str) -> bool:
    """Whether it is a file that is called as a video is."""
    suffix = Path(reference).suffix.lower()
    # A picture's name needs no library to be told.
    if not suffix or suffix in SUFFIXES or is_address(reference):
        return False
    from edge_classifier.capture.video_file import SUFFIXES as VIDEO_SUFFIXES

    return suffix in VIDEO_SUFFIXES


def shown(reference: str) -> str:
    """``reference`` without secrets."""
    if not is_address(reference):
        return reference
    from edge_classifier.cli.classify.fetch import shown_address

    return shown_address(reference)


def classify_inputs(
    references: Sequence[str],
    load: Callable[[str], LoadedPicture],
    classifiers: Sequence[Classifier],
    *,
    pixel_limit: int,
) -> Iterator[BatchItem]:
    """Outcomes in order, without secrets in their references; of a video one each second."""
    for are_videos, group in groupby(references, is_video):
        if are_videos:
            for reference in group:
                yield from _classify_video(reference, classifiers[0], pixel_limit)
        else:
            for item in classify_all(list(group), load, classifiers):
                yield replace(item, reference=shown(item.reference))


def _classify_video(
    reference: str, classifier: Classifier, pixel_limit: int
) -> Iterator[BatchItem]:
    from edge_classifier.capture.video_file import a_frame_each_second

    started = time.perf_counter()
    try:
        for at_s, frame in a_frame_each_second(reference, pixel_limit=pixel_limit):
            # With the frames between them, which the next one needs.
            decode_ms = 1e3 * (time.perf_counter() - started)
            found = classifier.classify(frame)
            total_ms = decode_ms + found.preprocess_ms + found.inference_ms
            picture = LoadedPicture(frame)
            yield BatchItem(reference, None, picture, found, decode_ms, total_ms, at_s)
            started = time.perf_counter()
    except EdgeClassifierError as error:
        yield BatchItem(reference, error)
