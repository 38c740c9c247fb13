"""``edge-classify data``: check a folder of pictures, and fill one from the capture store."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from edge_classifier.cli.common import add_action, progress
from edge_classifier.core.text import escaped, writable
from edge_classifier.dataset.check import CheckResult, check_dataset
from edge_classifier.dataset.facts import PictureFacts, examine
from edge_classifier.dataset.folder import UNSURE, Dataset, scan, scan_like
from edge_classifier.dataset.sorting import sort_store
from edge_classifier.errors import ExitCode

DESCRIPTION = "Checks pictures to learn from, and sorts those that the daemon kept."


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(required=True, metavar="check|sort")
    check = add_action(
        actions, "check", _check, "print what is wrong with class folders of pictures"
    )
    check.add_argument("data", type=Path, metavar="DATA", help="a folder with one folder a class")
    check.add_argument(
        "--other", type=Path, metavar="FOLDER", help="pictures of anything else: class unknown"
    )
    check.add_argument(
        "--validation", type=Path, metavar="FOLDER", help="own class folders to measure on"
    )
    check.add_argument("--json", action="store_true", help="print JSON")
    sort = add_action(actions, "sort", _sort, "copy the daemon's pictures into class folders")
    sort.add_argument("store", type=Path, metavar="STORE", help="the capture store, .../pictures")
    sort.add_argument(
        "--out", type=Path, required=True, metavar="DATA", help="the folder to add them to"
    )


def run(options: Namespace) -> ExitCode:
    """Do what the sub-command says."""
    action: Callable[[Namespace], ExitCode] = options.action
    return action(options)


def _check(options: Namespace) -> ExitCode:
    dataset = scan(options.data, other=options.other)
    validation = scan_like(options.validation, dataset.labels) if options.validation else None
    result = check_dataset(dataset, look_at(dataset, validation), validation)
    if options.json:
        print(writable(json.dumps(result.as_dict(), indent=1, ensure_ascii=False)))
    else:
        show_findings(result, dataset)
    return ExitCode.BAD_DATA if result.fatal else ExitCode.OK


def look_at(dataset: Dataset, validation: Dataset | None = None) -> dict[Path, PictureFacts]:
    """Facts of all pictures, with a bar for a person who waits."""
    samples = dataset.samples + (validation.samples if validation else ())
    paths = [sample.path for sample in samples]
    with progress(len(paths), "reading pictures") as shown:
        return examine(paths, workers=os.cpu_count() or 1, progress=lambda _: shown.advance())


def show_findings(result: CheckResult, dataset: Dataset) -> None:
    """Print a table of the classes, and all findings."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    numbers = ("pictures", "validation", "unreadable", "small", "copies", "alike")
    rows = [[getattr(count, column) for column in numbers] for count in result.classes]
    # Columns of nothing but zeros would only be in the way.
    shown = [column for n, column in enumerate(numbers) if n == 0 or any(row[n] for row in rows)]
    table = Table(box=None, pad_edge=False)
    table.add_column("class", overflow="fold")
    for language in dataset.names:
        table.add_column(language, overflow="fold")
    for column in shown:
        table.add_column(column, justify="right", no_wrap=True)
    for number, count in enumerate(result.classes):
        names = [Text(names[number]) for names in dataset.names.values()]
        figures = [str(getattr(count, column)) for column in shown]
        table.add_row(Text(count.label), *names, *figures)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    pictures = sum(count.pictures for count in result.classes)
    print(escaped(f"{result.root}: {pictures} pictures, {len(result.classes)} classes"))
    console.print(table)
    for line in result.lines():
        print(escaped(line))
    print("training cannot start" if result.fatal else "training can start")


def _sort(options: Namespace) -> ExitCode:
    done = sort_store(options.store, options.out)
    for folder, count in done.copied.items():
        print(f"{escaped(folder)}\t{count}")
    print(f"{sum(done.copied.values())} copied, {done.known} known already, {done.gone} gone")
    if done.copied:
        remedy = f"move those that are wrong, and all of {UNSURE}, to their class or delete them"
        print(f"Look them through: {remedy}. Then train.")
    return ExitCode.OK
