"""``edge-classify --image``: what is in these pictures?"""

import io
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from functools import partial
from pathlib import Path

from edge_classifier.batch import BatchItem
from edge_classifier.classifier import AnswerOptions
from edge_classifier.cli.classify.inputs import (
    classify_inputs,
    find_inputs,
    is_address,
    is_video,
    shown,
)
from edge_classifier.cli.classify.output import Format, make_writer
from edge_classifier.cli.common import (
    add_model_arguments,
    fraction,
    model_choice,
    one_of,
    print_notes,
    progress,
    whole_number,
)
from edge_classifier.core.geometry import least_size
from edge_classifier.core.labels.labels import display_names
from edge_classifier.core.text import escaped
from edge_classifier.errors import EdgeClassifierError, ExitCode, PictureError, UsageError
from edge_classifier.model_loading import load_model
from edge_classifier.vision.pictures import (
    BYTE_LIMIT,
    PIXEL_LIMIT,
    STANDARD_INPUT,
    LoadedPicture,
    load_picture,
)

# The language of labels themselves.
ENGLISH = "en"
DESCRIPTION = "Says what is in pictures, with an int8 network on this machine."


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="PICTURE",
        help="a picture or video, a folder (recursive), a glob, an http(s) address, or - for "
        "standard input",
    )
    parser.add_argument(
        "--image",
        action="append",
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="the same, where one looks like an option or a command",
    )
    parser.add_argument(
        "--top-k",
        type=whole_number(1, 1000),
        default=5,
        metavar="K",
        help="labels a picture (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=fraction,
        metavar="SCORE",
        help="leave out labels below it; a picture with none left is the most specific name above "
        "them that reaches it, such as cat, or `unknown` (default: none)",
    )
    parser.add_argument("--lang", default="en", metavar="TAG", help="language of labels: en, zh")
    parser.add_argument(
        "--max-megapixels",
        type=whole_number(1, 1000),
        default=PIXEL_LIMIT // 1_000_000,
        metavar="N",
        help="refuse larger pictures before decoding them (default: %(default)s)",
    )
    _add_output_arguments(parser)
    add_model_arguments(parser)


def _add_output_arguments(parser: ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        type=one_of(Format),
        default=Format.TEXT,
        metavar="|".join(Format),
        help="how results are printed (default: text)",
    )
    # As the other commands have it.
    output.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const=Format.JSON,
        default=SUPPRESS,
        help="the same as --format json",
    )
    output.add_argument(
        "--annotate",
        type=Path,
        metavar="OUT",
        help="write the picture with its labels; for several pictures, into this folder",
    )
    output.add_argument(
        "--contact-sheet", type=Path, metavar="OUT.png", help="write a grid of all pictures"
    )


def run(options: Namespace) -> ExitCode:
    """Classify every picture; the exit code is that of the first one that failed."""
    named = [*options.pictures, *(name for names in options.image for name in names)]
    if not named:
        raise UsageError("pictures", "none is named", "For example: edge-classify cat.jpg")
    references = find_inputs(named)
    if references.count(STANDARD_INPUT) > 1:
        raise UsageError(STANDARD_INPUT, "standard input can be read once only")
    drawing = None
    if options.annotate or options.contact_sheet:
        from edge_classifier.cli.classify.drawing import Drawing  # Here, because few runs draw.

        if video := next(filter(is_video, references), None):
            raise UsageError(video, "is a video, of which nothing is drawn")
        drawing = Drawing(options, list(map(shown, references)))
    # Several pictures at once, or one with all threads; a video's come one by one.
    single = len(references) == 1 or any(map(is_video, references))
    model = load_model(model_choice(options), threads=options.threads if single else 1)
    contract = model.resolved.contract
    print_notes(model.notes)
    if options.lang != ENGLISH and display_names(contract, options.lang) is contract.labels:
        known = ", ".join([ENGLISH, *contract.names])
        print_notes([f"the model has no names for --lang {options.lang}, only for {known}"])
    answer = AnswerOptions(options.top_k, options.threshold, options.lang)
    classifiers = model.classifiers(answer, min(options.threads, len(references)))
    pixel_limit = options.max_megapixels * 1_000_000
    load = partial(_load, at_least=least_size(contract), pixel_limit=pixel_limit)
    writer = make_writer(options.format, model.name, sys.stdout)
    failure = ExitCode.OK
    try:
        with progress(len(references)) as bar:
            outcomes = classify_inputs(references, load, classifiers, pixel_limit=pixel_limit)
            for outcome in outcomes:
                failure = failure or _report(outcome)
                writer.write(outcome)
                try:
                    if drawing:
                        drawing.add(outcome, contract)
                except EdgeClassifierError as error:
                    # A picture that cannot be drawn costs its drawing only.
                    print(f"edge-classify: {escaped(str(error))}", file=sys.stderr)
                    failure = failure or error.exit_code
                bar.advance()
    finally:
        writer.close()
    if drawing:
        drawing.close()
    return failure


def _load(reference: str, *, at_least: tuple[int, int] | None, pixel_limit: int) -> LoadedPicture:
    stream = None
    if reference == STANDARD_INPUT:
        if sys.stdin is None:
            raise PictureError(reference, "standard input is closed")
        data = sys.stdin.buffer.read(BYTE_LIMIT + 1)
        if len(data) > BYTE_LIMIT:
            raise PictureError(reference, f"is larger than {BYTE_LIMIT // 1_000_000} MB")
        stream = io.BytesIO(data)
    elif is_address(reference):
        from edge_classifier.cli.classify.fetch import fetch  # Here, because few runs name one.

        stream, reference = io.BytesIO(fetch(reference)), shown(reference)
    return load_picture(reference, stream=stream, at_least=at_least, pixel_limit=pixel_limit)


def _report(outcome: BatchItem) -> ExitCode:
    """Tell people of a failure or a note; the exit code that it means."""
    if outcome.error:
        print(f"edge-classify: {escaped(str(outcome.error))}", file=sys.stderr)
        return outcome.error.exit_code
    if outcome.picture and outcome.picture.note:
        print_notes([f"{outcome.reference}: {outcome.picture.note}"])
    return ExitCode.OK
