"""The report as one HTML file that needs nothing else: no network, no script, no font."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from edge_classifier import __version__
from edge_classifier.evaluation import charts
from edge_classifier.evaluation.contents import ReportData
from edge_classifier.evaluation.tiles import data_uri, example_tiles, worst_tiles
from edge_classifier.evaluation.verdict import FEW, interval, percent

# Labels up to which the confusion matrix is a table with numbers; else it is a picture.
TABLE_LIMIT = 16
# Labels up to which all have a line at once; else the weakest have, and the rest on demand.
LIST_LIMIT = 25

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
        names=_names(facts["labels"]),
        weakest_first=_weakest_first(facts["labels"]),
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


def _names(labels: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Label to language to name, where that is another text."""
    return {
        one["label"]: {tag: name for tag, name in one["names"].items() if name != one["label"]}
        for one in labels
    }


def _weakest_first(labels: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(labels, key=lambda one: (one["f1"] or 0.0, one["label"]))
