"""``edge-classify teach``: new labels in seconds, on the device itself."""

import json
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_classifier.cli.common import (
    default_threads,
    errors_as_json,
    tell_written,
    whole_number,
)
from edge_classifier.core.text import escaped
from edge_classifier.errors import ExitCode, OutputError, UsageError
from edge_classifier.files import default_state_folder, is_folder, why_missing
from edge_classifier.progress import ProgressDisplay, Unit, show_bar

if TYPE_CHECKING:
    from edge_classifier.teach.teacher import Progress, Taught

DESCRIPTION = """Learns to tell pictures apart in seconds: one folder a class. Writes a model that
`edge-classify --model` and the daemon run, and says how good it is. Runs on a Raspberry Pi."""
# Of pictures that look wrongly filed.
_SHOWN = 10
_STAGES = {
    "pictures": "reading pictures",
    "learning": "learning",
    "writing": "writing",
    "report": "writing the report",
}
# Seconds between two lines of ``--progress-json`` in one stage.
_GAP_S = 0.1


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", type=Path, metavar="FOLDER", help="one folder of pictures a class")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="MODEL.tflite", help="the model to write"
    )
    parser.add_argument(
        "--other", type=Path, metavar="FOLDER", help="pictures of anything else: class unknown"
    )
    parser.add_argument(
        "--no-unknown",
        action="store_true",
        help="every picture is one of the classes, as with a door that is open or shut",
    )
    parser.add_argument(
        "--base",
        default="",
        metavar="NAME|PATH",
        help="the network that is taught: a name that `models list` shows, or an int8 .tflite "
        "(default: efficientnet-lite0)",
    )
    parser.add_argument(
        "--title",
        default="",
        metavar="TEXT",
        help="what card and report call the model (default: the folder's name)",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write report.html, report.json, ... there"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--progress-json",
        action="store_true",
        help="tell the progress, and an error, on standard error, an object of JSON a line",
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FOLDER",
        help="where to keep what the network made of each picture (default: in the state folder)",
    )
    parser.add_argument(
        "--threads",
        type=whole_number(1, 64),
        default=default_threads(),
        metavar="N",
        help="processor threads of the network (default: %(default)s here)",
    )


def run(options: Namespace) -> ExitCode:
    """Teach, write, and say what came of it."""
    with errors_as_json(options.progress_json):
        return _teach(options)


def _teach(options: Namespace) -> ExitCode:
    # Before numpy is loaded: these matrices are small, and OpenBLAS' other threads would only
    # keep the processor from whoever needs it, such as the daemon.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Raise before anything is done that would be in vain.
    out = options.out
    if out.suffix != ".tflite":
        raise UsageError(str(out), "does not end in .tflite", "Models are found by that.")
    if not is_folder(out.parent):
        problem = f"{out.parent}: {why_missing(out.parent, 'folder')}"
        raise OutputError(str(out), problem, "Make it first.")
    # Late, as is the rest: what writes model files is not everywhere.
    from edge_classifier.dataset.folder import scan
    from edge_classifier.model_writing import pack
    from edge_classifier.teach.base import DEFAULT_BASE, open_base
    from edge_classifier.teach.teacher import teach

    if options.no_unknown and options.other:
        remedy = "Name one of the two."
        raise UsageError("--no-unknown", "there is no class for what --other names", remedy)
    dataset = scan(options.data, other=options.other)
    base = open_base(options.base or DEFAULT_BASE, threads=options.threads)
    cache = options.features or default_state_folder("edge-classifier", os.environ) / "features"
    with _told_as_json() if options.progress_json else _shown_as_bars() as progress:
        taught = teach(
            dataset,
            base,
            cache,
            unknown=not options.no_unknown,
            title=" ".join(options.title.split()),
            progress=progress,
        )
        progress("writing", 0, 1)
        pack(taught.model, options.out, taught.contract, taught.card)
        for line in taught.check.lines():
            print(f"edge-classify: {escaped(line)}", file=sys.stderr)
        if options.report or options.json:
            _report(taught, options, progress)
    if not options.json:
        lines = [*taught.sentences, *_about_unknown(taught.unknown_facts())]
        wrong = taught.advice.wrongly_filed
        if wrong:
            lines.append(f"look wrongly filed ({len(wrong)}):")
        lines += [f"  {one.picture}: {one.looks_like} {one.score:.2f}" for one in wrong[:_SHOWN]]
        lines.append(f"wrote {out}; try it: edge-classify --model {out} --image PICTURE")
        print(*map(escaped, lines), sep="\n")
    return ExitCode.OK


@contextmanager
def _shown_as_bars() -> Iterator["Progress"]:
    """A bar a stage on standard error for who watches."""
    with ExitStack() as stack:
        bar: ProgressDisplay | None = None
        shown = ""

        def show(stage: str, done: int, of: int) -> None:
            nonlocal bar, shown
            if bar is None or stage != shown:
                # Each goes away before the next one comes.
                stack.close()
                shown, bar = stage, stack.enter_context(show_bar(_STAGES[stage], of, Unit.COUNT))
            bar.reach(done, of)

        yield show


@contextmanager
def _told_as_json() -> Iterator["Progress"]:
    """Lines for a program: the first and last of each stage, and some between them."""
    told = ("", 0.0)

    def tell(stage: str, done: int, of: int) -> None:
        nonlocal told
        now = time.monotonic()
        if stage != told[0] or done == of or now - told[1] >= _GAP_S:
            told = stage, now
            line = json.dumps({"stage": stage, "done": done, "of": of})
            print(line, file=sys.stderr, flush=True)

    yield tell


def _report(taught: "Taught", options: Namespace, progress: "Progress") -> None:
    """As JSON on standard output, then the report's files, as far as they are wanted."""
    from edge_classifier.evaluation.report import as_json, figures, write_report
    from edge_classifier.teach.report import report_data

    data = report_data(taught, options.out, datetime.now(UTC).isoformat(timespec="seconds"))
    if options.json:
        sys.stdout.write(as_json({**figures(data), "teach": taught.as_dict()}))
        sys.stdout.flush()
    if options.report:
        # Its diagrams take longer than all before: who waits for the figures has them.
        progress("report", 0, 1)
        tell_written(write_report(options.report, data))


def _about_unknown(facts: dict[str, Any] | None) -> Iterator[str]:
    """What is taken for a label that is none, and what is lost to it."""
    if facts is None:
        return
    for key, name in (
        ("came_with_the_base", "quite other things"),
        ("own", "your own other things"),
    ):
        claimed = facts[key]["default"]
        if claimed["count"]:
            enter = facts[key]["default_enter"]
            at_all = facts[key]["any_score"]["hits"]
            yield (
                f"unknown: of {claimed['count']} pictures of {name} {claimed['hits']} are taken "
                f"for a label at a score of {enter:g}, {at_all} at any"
            )
    missed = facts["missed"]
    what = f"{missed['hits']} of {missed['count']} pictures of your classes"
    yield f"unknown: {what} are taken for it"
