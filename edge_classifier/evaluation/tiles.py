"""Small pictures for a page, with names drawn into them: no viewer's font can lack a character."""

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.errors import MissingFileError, PictureError
from edge_classifier.evaluation.matching import NONE
from edge_classifier.evaluation.report_figures import worst_first
from edge_classifier.evaluation.score import ScoredSamples
from edge_classifier.vision.draw import ContactSheet
from edge_classifier.vision.jpeg import jpeg
from edge_classifier.vision.pictures import load_picture

WORST = 24
GRID = 36
_DECODED_PX = (200, 200)
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the page."""

    uri: str
    path: str
    # What is drawn into it, for who cannot see it.
    text: str
    # ``right``, or what it shows.
    fact: str
    right: bool


def worst_tiles(scored: ScoredSamples) -> list[Tile]:
    """The mistakes that were made with the highest scores."""
    return [_tile(scored, number) for number in worst_first(scored)[:WORST]]


def example_tiles(scored: ScoredSamples, seed: int) -> list[Tile]:
    """Pictures drawn by ``seed``, ordered by their true label."""
    drawn = np.random.default_rng(seed).permutation(len(scored.paths))[:GRID]
    ordered = sorted((int(scored.truth[number]), int(number)) for number in drawn)
    return [_tile(scored, number) for _, number in ordered]


def named(scored: ScoredSamples, number: int) -> str:
    """A label with its names in other languages: ``daisy 雏菊``."""
    if number == NONE:
        return "something else"
    label = scored.labels[number]
    names = (known[number] for known in scored.names.values())
    return " ".join(dict.fromkeys((label, *names)))


def _tile(scored: ScoredSamples, number: int) -> Tile:
    truth, predicted = int(scored.truth[number]), int(scored.predicted[number])
    score = float(scored.probabilities[number, predicted])
    right = truth == predicted
    claim = f"{score:.2f} {named(scored, predicted)}"
    fact = "right" if right else f"is {named(scored, truth)}"
    return Tile(
        uri=_drawn(scored.paths[number], claim, fact),
        path=scored.places[number],
        text=f"{claim}, {fact}",
        fact=fact,
        right=right,
    )


def _drawn(path: Path, claim: str, fact: str) -> str:
    sheet = ContactSheet(1)
    try:
        frame = load_picture(str(path), at_least=_DECODED_PX).frame
    except (PictureError, MissingFileError):
        frame = None  # It was there when it was scored.
    sheet.add(frame, fact, claim)
    return data_uri(jpeg(Frame(sheet.render(), ColourOrder.BGR), _QUALITY))


def data_uri(data: bytes) -> str:
    """A JPEG file as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
