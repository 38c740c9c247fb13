"""``edge-classify evaluate``: how good is a model on labelled pictures?"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_classifier.cli.common import (
    add_running_arguments,
    errors_as_json,
    fraction,
    model_choice,
    print_notes,
    progress,
    tell_written,
)
from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.folder import scan
from edge_classifier.errors import ExitCode
from edge_classifier.evaluation.latency import interleaved
from edge_classifier.evaluation.report import as_json, figures, write_report
from edge_classifier.evaluation.report_data import ReportData
from edge_classifier.evaluation.score import score_samples
from edge_classifier.evaluation.verdict import interval, percent
from edge_classifier.model_loading import ModelChoice, load_model

DESCRIPTION = "Measures a model on labelled pictures: a folder with one sub-folder a label."
# Labels in the table on the terminal; the weakest, where there are more.
_ROWS = 30


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "model", metavar="MODEL", help="a name that `models list` shows, or a .tflite file"
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="class folders of pictures")
    parser.add_argument(
        "--other", type=Path, metavar="FOLDER", help="pictures of things it is not to know"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write report.html, report.json, thresholds.toml"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--error-json",
        action="store_true",
        help="tell an error on standard error, as an object of JSON, too",
    )
    parser.add_argument(
        "--precision",
        type=_precision,
        default=0.95,
        metavar="SHARE",
        help="of a label's claims that are to be right, for its threshold (default: %(default)s)",
    )
    add_running_arguments(parser)


def _precision(text: str) -> float:
    value = fraction(text)
    if not 0 < value < 1:
        raise ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def run(options: Namespace) -> ExitCode:
    """Score every picture; print a table and write what is wanted."""
    with errors_as_json(options.error_json):
        return _evaluate(options)


def _evaluate(options: Namespace) -> ExitCode:
    model = load_model(model_choice(options))
    print_notes(model.notes)
    dataset = scan(options.data, other=options.other)
    with progress(len(dataset.samples)) as shown:
        scored = score_samples(model, dataset, threads=options.threads, progress=shown.advance)
    # What is not in the figures.
    notes = []
    for one in scored.left_out:
        near = f"; similar labels: {', '.join(one.similar)}" if one.similar else ""
        what = f"the folder {one.label} is not a label of {model.name}"
        notes.append(f"{what}, pictures left out: {one.pictures}{near}")
    if scored.unreadable:
        place, why = scored.unreadable[0]
        count = len(scored.unreadable)
        notes.append(f"pictures left out that cannot be read: {count}, e.g. {place}: {why}")
    for suffix, count in scored.not_pictures.items():
        notes.append(f"files left out that are not pictures: {suffix} ({count})")
    print_notes(notes)
    reference = load_model(ModelChoice(delegate="cpu"))
    data = ReportData(
        title=Sentence("{model} on {folder}", model=model.name, folder=options.data.resolve().name),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        scored=scored,
        wanted_precision=options.precision,
        # Beside the embedded default model, by turns.
        latency=interleaved(model.engine, reference.engine, reference.name),
    )
    facts = figures(data)
    if options.json:
        sys.stdout.write(as_json(facts))
    else:
        _print(facts)
    if options.out:
        tell_written(write_report(options.out, data))
    return ExitCode.OK


def _print(facts: Mapping[str, Any]) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 120
    console = Console(highlight=False, markup=False, width=width)
    verdict = facts["verdict"]
    console.print(facts["title"], style="bold")
    console.print(verdict["headline"])
    console.print(*(f"  {line}" for line in verdict["found"]), "", sep="\n")
    console.print(_table(facts), "", sep="\n")
    latency, error = facts["latency"], facts["calibration"]["expected_error"]
    console.print(
        f"scores and truth are {100 * error:.1f} points apart (expected calibration error)"
    )
    if other := facts["other_pictures"]:
        accepts = other["default"]["false_accepts"]
        console.print(
            f"of {other['pictures']} pictures of other things {percent(accepts['share'])} reach "
            f"{other['default_enter']:g} for some label ({interval(accepts)})"
        )
    console.print(
        f"network alone {latency['median_ms']:.2f} ms, {latency['ratio']:.2f} x "
        f"{latency['reference']} (1 thread, by turns)"
    )
    console.print("", "What to do next:", *(f"  {line}" for line in verdict["next"]), sep="\n")


def _table(facts: Mapping[str, Any]) -> Any:
    from rich.table import Table

    enter = {one["label"]: one["enter"] for one in facts["thresholds"]["labels"]}
    labels = facts["labels"]
    if len(labels) > _ROWS:
        labels = sorted(labels, key=lambda one: one["f1"] or 0)[:_ROWS]
    title = (
        f"the {_ROWS} weakest of {len(facts['labels'])} labels"
        if len(labels) < len(facts["labels"])
        else None
    )
    table = Table(box=None, pad_edge=False, title=title)
    table.add_column("label")
    for column in ("pictures", "recall", "(95 % interval)", "precision", "F1", "enter"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in labels:
        threshold = enter.get(one["label"])
        table.add_row(
            one["label"],
            str(one["pictures"]),
            percent(one["recall"]["share"]),
            interval(one["recall"]),
            percent(one["precision"]["share"]),
            percent(one["f1"]),
            "-" if threshold is None else f"{threshold:.2f}",
        )
    return table
