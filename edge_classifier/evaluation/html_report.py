"""The report as one HTML file that needs nothing else: no network, no script, no font."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from edge_classifier import __version__
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.errors import MissingFileError, PictureError
from edge_classifier.evaluation import charts
from edge_classifier.evaluation.matching import NONE
from edge_classifier.evaluation.report import worst_first
from edge_classifier.evaluation.report_data import ReportData
from edge_classifier.evaluation.score import ScoredSamples
from edge_classifier.evaluation.verdict import FEW, interval, percent
from edge_classifier.vision.draw import ContactSheet
from edge_classifier.vision.jpeg import jpeg
from edge_classifier.vision.pictures import load_picture

# Labels up to which the confusion matrix is a table with numbers; else it is a picture.
TABLE_LIMIT = 16
# Labels up to which all have a line at once; else the weakest have, and the rest on demand.
LIST_LIMIT = 25

# Pictures that are shown: the worst mistakes, and some of all.
WORST, GRID = 24, 36
_DECODED_PX = (200, 200)
_QUALITY = 80

_HERE = Path(__file__).parent


def render(facts: Mapping[str, Any], data: ReportData) -> str:
    """The page for ``facts``, as in report.json; thumbnails are read from the pictures' files."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval}
    page: str = environment.get_template("page.html.j2").render(
        facts=dict(facts),
        style=Markup((_HERE / "page.css").read_text("utf-8")),  # noqa: S704 (our own file)
        charts=_charts(facts),
        worst=worst_tiles(data.scored),
        examples=example_tiles(data.scored, data.seed or 0),
        augmentation=data_uri(data.augmentation.read_bytes()) if data.augmentation else "",
        names={
            one["label"]: {tag: name for tag, name in one["names"].items() if name != one["label"]}
            for one in facts["labels"]
        },
        weakest_first=sorted(facts["labels"], key=lambda one: (one["f1"] or 0.0, one["label"])),
        few=FEW,
        table_limit=TABLE_LIMIT,
        list_limit=LIST_LIMIT,
        version=__version__,
    )
    return page


def _charts(facts: Mapping[str, Any]) -> dict[str, Markup]:
    """SVG by name, of what there are figures for."""
    found = {"reliability": charts.reliability("after", facts["calibration"]["bins"])}
    if before := facts["calibration"]["before"]:
        found["before"] = charts.reliability("before", before["bins"])
    if history := facts["history"]:
        found |= {"losses": charts.losses(history), "accuracies": charts.accuracies(history)}
    if points := facts["learning_curve"]:
        found["learning"] = charts.learning_curve(points)
    return {name: Markup(svg) for name, svg in found.items()}  # noqa: S704 (no text of users in it)


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
    sheet = ContactSheet(1)
    try:
        frame = load_picture(str(scored.paths[number]), at_least=_DECODED_PX).frame
    except (PictureError, MissingFileError):
        frame = None  # It was there when it was scored.
    sheet.add(frame, fact, claim)
    return Tile(
        uri=data_uri(jpeg(Frame(sheet.render(), ColourOrder.BGR), _QUALITY)),
        path=scored.places[number],
        text=f"{claim}, {fact}",
        fact=fact,
        right=right,
    )


def data_uri(data: bytes) -> str:
    """A JPEG file as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
