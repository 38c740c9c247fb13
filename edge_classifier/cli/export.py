"""``edge-classify export``: the model file of a trained run anew, or a model for other programs."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from edge_classifier.cli.common import add_set_option
from edge_classifier.cli.train import announce, print_line, require_training
from edge_classifier.errors import ConfigurationError, ExitCode, UsageError
from edge_classifier.files import is_folder

DESCRIPTION = """Writes RUN/model.tflite and RUN/report.html anew from what `train` has left in RUN;
a stage that has not been finished is finished first. With --portable it writes a copy of a model
that MediaPipe, the Task Library and Android read (docs/export.md): the same network with a uint8
input, its labels and TFLite Metadata."""
# What the copy's name ends in, where none is named.
_PORTABLE = "_portable.tflite"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="the --out of `edge-classify train`; with --portable also a name that `models list` "
        "shows or a .tflite file (default then: the default model)",
    )
    parser.add_argument("--portable", action="store_true", help="for other programs than this one")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="of --portable (default: beside the run's model, or in this folder, with a name that "
        f"ends in {_PORTABLE})",
    )
    add_set_option(
        parser, "another setting of the export, e.g. scores.precision=0.9; may be repeated"
    )


def run(options: Namespace) -> ExitCode:
    """Export."""
    if options.portable:
        if options.assignments:
            raise UsageError("--set", "is not for --portable", "It changes nothing but the form.")
        from edge_classifier.model_loading import ModelChoice, load_model
        from edge_classifier.modelfile.catalogue import load_catalogue
        from edge_classifier.modelfile.model_zip import model_file

        folder = Path(options.run) if options.run and is_folder(Path(options.run)) else None
        reference = str(folder / "model.tflite") if folder else options.run or ""
        model = load_model(ModelChoice(reference, "cpu"))
        source = model_file(load_catalogue().locate(reference))
        target = options.out or (folder or Path()) / f"{source.stem}{_PORTABLE}"
        try:
            from edge_classifier.training.export.portable import write_portable
        except ImportError as error:
            remedy = (
                "The old runtime for 32-bit ARM has no schema of models: do it on another machine."
            )
            raise ConfigurationError("--portable", f"needs {error.name}", remedy) from error
        write_portable(model, source, target)
        print(target)
        return ExitCode.OK
    if options.out:
        raise UsageError("--out", "is for --portable", "A run's own files lie in the run's folder.")
    if not options.run:
        raise UsageError("RUN", "is missing", "Name the --out of `edge-classify train`.")
    require_training()
    from edge_classifier.training import session  # Here: it imports torch.
    from edge_classifier.training.run_folder import require_settings

    run_folder = Path(options.run)
    settings = require_settings(run_folder, options.assignments)
    written = session.train_and_export(settings, run_folder, resume=True, log=print_line)
    if written:
        announce(run_folder, written.page or written.json)
    return ExitCode.OK
