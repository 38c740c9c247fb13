"""The files of a report: report.json, report.html and thresholds.toml."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edge_classifier.errors import OutputError
from edge_classifier.evaluation.contents import ReportData
from edge_classifier.evaluation.report_figures import figures
from edge_classifier.evaluation.thresholds import suggest_thresholds, thresholds_toml
from edge_classifier.files import write_whole

# What the page needs; the extra ``report`` brings them.
PAGE_LIBRARIES = ("jinja2", "matplotlib")
PAGE_REMEDY = "pip install 'edge-classifier[report]'"


_NOWHERE = logging.NullHandler()


class Written(NamedTuple):
    """The files of a report."""

    json: Path
    thresholds: Path
    # None: the libraries that make it are not installed.
    page: Path | None


def write_report(folder: Path, data: ReportData) -> Written:
    """Write a report's files into ``folder``, each whole or not at all. Raises OutputError."""
    facts = figures(data)
    suggestions = suggest_thresholds(
        data.scored.probabilities, data.scored.truth, data.scored.labels, data.wanted_precision
    )
    source = f"{data.title}, {len(data.scored.paths)} pictures, {data.made}"
    _make(folder)
    return Written(
        _write(folder / "report.json", as_json(facts)),
        _write(
            folder / "thresholds.toml",
            thresholds_toml(suggestions, data.wanted_precision, source),
        ),
        _write_page(folder / "report.html", facts, data),
    )


def as_json(facts: Mapping[str, Any]) -> str:
    """One line a part: a matrix or ten thousand pictures would be a column of numbers."""
    lines = (f"{json.dumps(key)}: {json.dumps(facts[key], ensure_ascii=False)}" for key in facts)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _write_page(path: Path, facts: Mapping[str, Any], data: ReportData) -> Path | None:
    # Without a home matplotlib writes its cache elsewhere, and says so when it is imported.
    logging.getLogger("matplotlib").addHandler(_NOWHERE)
    try:
        from edge_classifier.evaluation.page import render  # Its libraries are an extra.
    except ModuleNotFoundError as error:
        if error.name not in PAGE_LIBRARIES:
            raise
        return None
    return _write(path, render(facts, data))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(str(folder), f"cannot be made ({error.strerror})") from error


def _write(path: Path, text: str) -> Path:
    write_whole(path, text)
    return path
