"""``edge-classify export``: the model file of a run that has been trained, and its report."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from edge_classifier.cli.common import add_set_option
from edge_classifier.cli.train import announce, print_line, require_training
from edge_classifier.errors import ExitCode

DESCRIPTION = """Writes RUN/model.tflite and RUN/report.html anew from what `train` has left in RUN;
a stage that has not been finished is finished first."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the --out of `edge-classify train`")
    add_set_option(
        parser, "another setting of the export, e.g. scores.precision=0.9; may be repeated"
    )


def run(options: Namespace) -> ExitCode:
    """Export, measure, report."""
    require_training()
    from edge_classifier.training import session  # Here: it imports torch.
    from edge_classifier.training.run_folder import require_settings

    settings = require_settings(options.run, options.assignments)
    written = session.train_and_export(settings, options.run, resume=True, log=print_line)
    if written:
        announce(options.run, written.page or written.json)
    return ExitCode.OK
