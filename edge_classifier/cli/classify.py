"""``edge-classify --image``: what is in these pictures?"""

import io
import math
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edge_classifier.assembly import LoadedModel, load_model
from edge_classifier.batch import Outcome, classify_all
from edge_classifier.classifier import Answer, Classifier
from edge_classifier.cli.options import (
    add_model_arguments,
    fraction,
    model_choice,
    say,
    whole_number,
)
from edge_classifier.cli.output import Format, make_writer, progress
from edge_classifier.core.contract import Contract, Crop
from edge_classifier.core.geometry import place
from edge_classifier.errors import ExitCode, PictureError, UsageError
from edge_classifier.vision.pictures import (
    BYTE_LIMIT,
    PIXEL_LIMIT,
    STANDARD_INPUT,
    Picture,
    find_pictures,
    load_picture,
)

DESCRIPTION = "Says what is in pictures, with an int8 network on this machine."


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--image",
        action="append",
        nargs="+",
        required=True,
        metavar="PATH",
        help="a picture, a folder (recursive), a glob, or - for standard input; may be repeated",
    )
    parser.add_argument(
        "--top-k", type=whole_number(1, 1000), default=5, metavar="K", help="labels a picture"
    )
    parser.add_argument(
        "--threshold",
        type=fraction,
        metavar="SCORE",
        help="leave out labels below it; a picture with none left is `unknown` (default: none)",
    )
    parser.add_argument("--lang", default="en", metavar="TAG", help="language of labels: en, zh")
    parser.add_argument(
        "--max-megapixels",
        type=whole_number(1, 1000),
        default=PIXEL_LIMIT // 1_000_000,
        metavar="N",
        help="refuse larger pictures before decoding them (default: %(default)s)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--format", type=Format, choices=list(Format), default=Format.TEXT)
    output.add_argument(
        "--annotate",
        type=Path,
        metavar="OUT",
        help="write the picture with its labels; for several pictures, into this folder",
    )
    output.add_argument(
        "--contact-sheet", type=Path, metavar="OUT.png", help="write a grid of all pictures"
    )
    add_model_arguments(parser)


def run(options: Namespace) -> ExitCode:
    """Classify every picture; the exit code is that of the first one that failed."""
    references = list(find_pictures(name for names in options.image for name in names))
    _require_sense(options, references)
    single = len(references) == 1
    model = load_model(model_choice(options), threads=options.threads if single else 1)
    say(model.notes)
    answer = Answer(options.top_k, options.threshold, options.lang)
    classifiers = _classifiers(model, answer, min(options.threads, len(references)))
    contract = model.resolved.contract
    load = partial(
        _load,
        at_least=_enough(contract),
        pixel_limit=options.max_megapixels * 1_000_000,
    )
    writer = make_writer(options.format, model.name, sys.stdout)
    drawer = _Drawer(options, contract, len(references))
    failure = ExitCode.OK
    with progress(len(references)) as advance:
        for outcome in classify_all(references, load, classifiers):
            failure = failure or _report(outcome)
            writer.write(outcome)
            drawer.draw(outcome)
            advance()
    writer.close()
    drawer.close()
    return failure


def _require_sense(options: Namespace, references: Sequence[str]) -> None:
    if references.count(STANDARD_INPUT) > 1:
        raise UsageError(STANDARD_INPUT, "standard input can be read once only")
    if options.annotate and len(references) > 1 and options.annotate.is_file():
        raise UsageError(
            str(options.annotate), f"is a file, for {len(references)} pictures", "Name a folder."
        )


def _classifiers(model: LoadedModel, answer: Answer, count: int) -> list[Classifier]:
    """One engine a thread on the CPU; an accelerator is one engine whatever is asked."""
    others = count - 1 if model.seat.delegate is None else 0
    return [model.classifier(answer), *(model.another(answer) for _ in range(others))]


def _enough(contract: Contract) -> tuple[int, int]:
    """The size that a decoded picture must have for its crop to fill the model's input."""
    share = contract.crop_fraction if contract.crop is Crop.CENTER else 1.0
    return math.ceil(contract.width / share), math.ceil(contract.height / share)


def _load(reference: str, *, at_least: tuple[int, int] | None, pixel_limit: int) -> Picture:
    stream = None
    if reference == STANDARD_INPUT:
        data = sys.stdin.buffer.read(BYTE_LIMIT + 1)
        if len(data) > BYTE_LIMIT:
            raise PictureError(reference, f"is larger than {BYTE_LIMIT // 1_000_000} MB")
        stream = io.BytesIO(data)
    return load_picture(reference, stream=stream, at_least=at_least, pixel_limit=pixel_limit)


def _report(outcome: Outcome) -> ExitCode:
    """Tell people of a failure or a note; the exit code that it means."""
    if outcome.error:
        print(f"edge-classify: {outcome.error}", file=sys.stderr)
        return outcome.error.exit_code
    if outcome.picture and outcome.picture.note:
        say([f"{outcome.reference}: {outcome.picture.note}"])
    return ExitCode.OK


class _Drawer:
    """Writes the annotated pictures and the contact sheet, if they are wanted."""

    def __init__(self, options: Namespace, contract: Contract, count: int) -> None:
        annotate, sheet = options.annotate, options.contact_sheet
        self._annotate: Path | None = annotate
        self._sheet_path: Path | None = sheet
        self._pixel_limit = options.max_megapixels * 1_000_000
        self._contract = contract
        self._many = count > 1
        self._taken: set[str] = set()
        if annotate or sheet:
            from edge_classifier.vision import draw

            self._draw = draw
        self._sheet = self._draw.ContactSheet(count) if sheet else None

    def draw(self, outcome: Outcome) -> None:
        """Draw one outcome."""
        found, picture = outcome.classification, outcome.picture
        if self._annotate and found and picture:
            frame = self._whole(outcome.reference, picture).frame
            seen = place(frame.width, frame.height, self._contract).source
            drawn = self._draw.annotate(frame, found.predictions, seen)
            self._draw.save(drawn, self._target(outcome.reference))
        if self._sheet:
            best = found.predictions[0] if found else None
            caption = f"{best.score:.2f} {best.label}" if best else "not readable"
            name = Path(outcome.reference).name
            self._sheet.add(picture.frame if picture else None, name, caption)

    def _whole(self, reference: str, picture: Picture) -> Picture:
        """The picture at its full size; what was classified may have been decoded at an eighth."""
        if reference == STANDARD_INPUT:
            return picture
        return load_picture(reference, pixel_limit=self._pixel_limit)

    def close(self) -> None:
        """Write the sheet."""
        if self._sheet and self._sheet_path:
            self._draw.save(self._sheet.render(), self._sheet_path)

    def _target(self, reference: str) -> Path:
        """OUT itself for one picture; for many, a name in the folder OUT that is not taken."""
        folder = self._annotate or Path()
        if not self._many and not folder.is_dir():
            return folder
        stem = "stdin" if reference == STANDARD_INPUT else Path(reference).stem
        number, name = 1, f"{stem}.jpg"
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}.jpg"
        self._taken.add(name)
        return folder / name
