"""The report as an HTML file a language that needs nothing else: no network, script or font."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from edge_classifier import __version__
from edge_classifier.core.frame import Frame
from edge_classifier.errors import MissingFileError, PictureError
from edge_classifier.evaluation import charts
from edge_classifier.evaluation.matching import NONE
from edge_classifier.evaluation.report import PAGES, worst_first
from edge_classifier.evaluation.report_data import ReportData
from edge_classifier.evaluation.score import ScoredSamples
from edge_classifier.evaluation.verdict import FEW, interval, percent
from edge_classifier.translation import Reader, translation_to
from edge_classifier.vision.draw import thumbnail
from edge_classifier.vision.jpeg import jpeg
from edge_classifier.vision.pictures import load_picture

# Labels up to which the confusion matrix is a table with numbers; else it is a picture.
TABLE_LIMIT = 16
# A temperature that is nearer to 1 is shown as 1, and changes nothing that one could see.
_NO_SCALE = 0.005
# Labels up to which all have a line at once; else the weakest have, and the rest on demand.
LIST_LIMIT = 25

# Pictures that are shown: the worst mistakes, and some of all.
WORST, GRID = 24, 36
# Of some of all, those that are in sight.
_FIRST = 12
_SIDE_PX = 200
_QUALITY = 80

_HERE = Path(__file__).parent
TEMPLATE = "page.html.j2"
# What a chart says, which matplotlib writes into an element of its own.
_CHART_WORD = re.compile(r"(<text [^>]*>)([^<]*)(</text>)")


def render(facts: Mapping[str, Any], data: ReportData) -> dict[str, str]:
    """By language the page for ``facts``, as in report.json.

    Thumbnails are read from the pictures' files.
    """
    # SVG by name, of what there are figures for; its words are English.
    drawn = {"reliability": charts.reliability("after", facts["calibration"]["bins"])}
    if (before := facts["calibration"]["before"]) and _is_scaled(facts):
        drawn["before"] = charts.reliability("before", before["bins"])
    if history := facts["history"]:
        drawn |= {"losses": charts.losses(history), "accuracies": charts.accuracies(history)}
    if points := facts["learning_curve"]:
        drawn["learning"] = charts.learning_curve(points)
    size = None
    if data.augmentation:
        height, width = load_picture(str(data.augmentation)).frame.pixels.shape[:2]
        size = width, height
    shown = {
        "facts": dict(facts),
        "style": Markup((_HERE / "page.css").read_text("utf-8")),  # noqa: S704 (our own file)
        "worst": worst_tiles(data.scored),
        "examples": example_tiles(data.scored, data.seed or 0),
        "first_examples": _FIRST,
        "side": _SIDE_PX,
        "augmentation": data_uri(data.augmentation.read_bytes()) if data.augmentation else "",
        "augmentation_size": size,
        "is_scaled": _is_scaled(facts),
        "weakest_first": sorted(facts["labels"], key=lambda one: (one["f1"] or 0.0, one["label"])),
        "few": FEW,
        "table_limit": TABLE_LIMIT,
        "list_limit": LIST_LIMIT,
        "version": __version__,
    }
    pages = {}
    for language in PAGES:
        reader = Reader(translation_to(language), _names(data.scored, language))
        pages[language] = (
            environment(reader)
            .get_template(TEMPLATE)
            .render(
                **shown,
                language=language,
                name=reader.name,
                charts={key: _in_words(svg, reader) for key, svg in drawn.items()},
            )
        )
    return pages


def environment(reader: Reader) -> jinja2.Environment:
    """What makes a page of the template, in the language of ``reader``."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(reader.translation, newstyle=True)
    filters: dict[str, Callable[..., str]] = {
        "percent": percent,
        "interval": lambda share: reader.told(interval(share)),
        "moment": _moment,
        "told": reader.told,
    }
    made.filters |= filters
    return made


def _in_words(svg: str, reader: Reader) -> Markup:
    """A chart in the language of ``reader``."""
    translate = reader.translation.gettext
    said = _CHART_WORD.sub(lambda found: f"{found[1]}{translate(found[2])}{found[3]}", svg)
    return Markup(said)  # noqa: S704 (no text of users is in it)


def _moment(stamp: str) -> str:
    """``2026-11-30 06:06 UTC`` of ``2026-11-30T06:06:38+00:00``."""
    return f"{datetime.fromisoformat(stamp).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _is_scaled(facts: Mapping[str, Any]) -> bool:
    """Whether the file's temperature changes its scores."""
    temperature: float = facts["calibration"]["temperature"] or 1.0
    return abs(temperature - 1.0) >= _NO_SCALE


def _names(scored: ScoredSamples, language: str) -> dict[str, str]:
    """By label its name in ``language``, where the model has one."""
    wanted = language.partition("-")[0]
    for tag, names in scored.names.items():
        if tag.partition("-")[0] == wanted:
            return dict(zip(scored.labels, names, strict=True))
    return {}


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the page, a square of ``_SIDE_PX``."""

    # Empty: its file has gone, or cannot be read any more.
    uri: str
    path: str
    predicted: str
    score: str
    # Empty: it shows none of the labels.
    truth: str
    right: bool


def worst_tiles(scored: ScoredSamples) -> list[Tile]:
    """The mistakes that were made with the highest scores."""
    return [_tile(scored, number) for number in worst_first(scored)[:WORST]]


def example_tiles(scored: ScoredSamples, seed: int) -> list[Tile]:
    """Pictures drawn by ``seed``, ordered by their true label."""
    drawn = np.random.default_rng(seed).permutation(len(scored.paths))[:GRID]
    ordered = sorted((int(scored.truth[number]), int(number)) for number in drawn)
    return [_tile(scored, number) for _, number in ordered]


def _tile(scored: ScoredSamples, number: int) -> Tile:
    truth, predicted = int(scored.truth[number]), int(scored.predicted[number])
    try:
        frame = load_picture(str(scored.paths[number]), at_least=(_SIDE_PX, _SIDE_PX)).frame
        uri = data_uri(jpeg(Frame(thumbnail(frame.pixels, _SIDE_PX), frame.order), _QUALITY))
    except (PictureError, MissingFileError):
        uri = ""  # It was there when it was scored.
    return Tile(
        uri=uri,
        path=scored.places[number],
        predicted=scored.labels[predicted],
        score=f"{float(scored.probabilities[number, predicted]):.2f}",
        truth="" if truth == NONE else scored.labels[truth],
        right=truth == predicted,
    )


def data_uri(data: bytes) -> str:
    """A JPEG file as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
