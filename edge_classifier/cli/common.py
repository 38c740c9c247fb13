"""What several commands share: options and what they are turned into, notes, progress.

Light: whoever classifies one picture waits for each module that is loaded here.
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge_classifier.core.contract import Crop, range_from_text
from edge_classifier.core.text import escaped
from edge_classifier.errors import EdgeClassifierError, ExitCode

if TYPE_CHECKING:
    from edge_classifier.config.sources import SettingsSources
    from edge_classifier.core.geometry import RelativeBox
    from edge_classifier.evaluation.report import Written
    from edge_classifier.model_loading import ModelChoice
    from edge_classifier.progress import ProgressDisplay

Choice = TypeVar("Choice", bound=StrEnum)
# What does a sub-command's work.
Action = Callable[..., ExitCode]
# Fewer pictures are done before a bar could be read.
_PROGRESS_FROM = 20


@contextmanager
def errors_as_json(is_wanted: bool) -> Iterator[None]:
    """An error on standard error as an object of JSON, too, for the program that asked for it."""
    try:
        yield
    except (EdgeClassifierError, OSError) as error:
        if is_wanted:
            from edge_classifier.child import error_line

            print(error_line(error), file=sys.stderr, flush=True)
        raise


def add_action(
    actions: Any, name: str, action: Action, help_: str, *, json_: bool = False
) -> ArgumentParser:
    """A parser whose options have ``action``, for ``run`` of the command's module."""
    parser: ArgumentParser = actions.add_parser(
        name, help=help_, description=help_, allow_abbrev=False
    )
    parser.set_defaults(action=action)
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    if json_:
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def add_set_option(parser: Any, help_: str) -> None:
    """``--set KEY=VALUE``, as often as wanted, for each command that reads settings."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments", help=help_
    )


def add_settings_arguments(parser: Any) -> None:
    """Which settings, for each command that reads them."""
    from edge_classifier.config.sources import FILE_VARIABLE, SYSTEM_FILE

    parser.add_argument(
        "--config",
        type=Path,
        metavar="PATH",
        help=f"the file (default: ${FILE_VARIABLE}, {SYSTEM_FILE}, or that of your home)",
    )
    add_set_option(
        parser, "a setting above file and environment, e.g. mqtt.host=broker; several times"
    )


def settings_sources(options: Namespace) -> "SettingsSources":
    """Where these options say that settings come from."""
    from edge_classifier.config.sources import SettingsSources

    return SettingsSources(options.config, dict(os.environ), tuple(options.assignments))


def use_credentials_of_the_service(sources: "SettingsSources") -> None:
    """Find secrets where systemd gives them to the service, if these are the service's settings.

    Others than root may not read them, and are told so where one is missing.
    """
    from edge_classifier.config.secrets import CREDENTIALS_VARIABLE
    from edge_classifier.config.sources import SYSTEM_FILE, find_file

    folder = SYSTEM_FILE.parent / "secrets"
    if find_file(sources) == SYSTEM_FILE and os.access(folder, os.R_OK | os.X_OK):
        os.environ.setdefault(CREDENTIALS_VARIABLE, str(folder))


def add_model_arguments(parser: ArgumentParser) -> None:
    """Which model, and how it runs."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="",
        metavar="NAME|PATH",
        help="a name that `models list` shows, a .tflite file, or a zip with one "
        "(default: the embedded one)",
    )
    add_running_arguments(group)


def add_running_arguments(group: Any) -> None:
    """How a model runs that is named elsewhere."""
    group.add_argument(
        "--labels", type=Path, metavar="FILE", help="label names, one a line or JSON"
    )
    group.add_argument(
        "--crop",
        type=one_of(Crop),
        metavar="|".join(Crop),
        help="how a picture becomes the model's shape (default: as the model says)",
    )
    add_input_range_argument(group)
    add_taxonomy_argument(group)
    group.add_argument(
        "--threads",
        type=whole_number(1, 64),
        default=default_threads(),
        metavar="N",
        help="processor threads (default here: %(default)s)",
    )
    group.add_argument(
        "--delegate",
        default="auto",
        metavar="auto|cpu|edgetpu|PATH",
        help="where the network runs; anything but auto is a demand (default: %(default)s)",
    )


def add_input_range_argument(group: Any) -> None:
    """What pixels enter the network as, where the model does not say it or is wrong."""
    group.add_argument(
        "--input-range",
        type=input_range,
        metavar="LOW..HIGH",
        help="numbers that black and white enter as: 0..255, 0..1, or with an equals sign "
        "--input-range=-1..1 (default: as the model says, see `models info`)",
    )


def add_taxonomy_argument(group: Any) -> None:
    """The names above the labels, where the model has none or others are wanted."""
    group.add_argument(
        "--taxonomy",
        type=Path,
        metavar="FILE",
        help="a tree of names above the labels, instead of the model's own",
    )


def model_choice(options: Namespace) -> "ModelChoice":
    """The choice that these options make."""
    from edge_classifier.model_loading import ModelChoice
    from edge_classifier.modelfile.resolve import ContractOverrides

    overrides = ContractOverrides(
        options.labels, options.crop, options.input_range, options.taxonomy
    )
    return ModelChoice(options.model, options.delegate, overrides)


def default_threads() -> int:
    """The processors that this process may use, at most four: more do not pay at this size."""
    return min(4, len(os.sched_getaffinity(0)))


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """An option's type: a whole number in a range, both ends allowed."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def one_of(kind: type[Choice]) -> Callable[[str], Choice]:
    """An option's type: one of an enum's values."""

    def parse(text: str) -> Choice:
        if text not in list(kind):
            raise ArgumentTypeError(f"{text!r} is none of {', '.join(kind)}")
        return kind(text)

    return parse


def input_range(text: str) -> tuple[float, float]:
    """An option's type: ``0..255``."""
    try:
        return range_from_text(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from error


def fraction(text: str) -> float:
    """An option's type: a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def print_notes(notes: Iterable[str]) -> None:
    """Print notes for people to standard error, where they spoil no output."""
    for note in notes:
        print(f"edge-classify: note: {escaped(note)}", file=sys.stderr)


def tell_written(report: "Written") -> None:
    """Say on standard error which files of a report there are now."""
    from edge_classifier.installation import how_to_add

    for path in filter(None, (report.page, report.json, report.thresholds)):
        print(f"wrote {escaped(str(path))}", file=sys.stderr)
    if not report.page:
        print_notes([f"report.html needs more libraries: {how_to_add('report')}"])


def progress(count: int, title: str = "classifying") -> AbstractContextManager["ProgressDisplay"]:
    """A bar on standard error for many pictures, if a person is watching it."""
    from edge_classifier.progress import Unit, show_bar

    return show_bar(title, count, Unit.COUNT, shown=count >= _PROGRESS_FROM)


def box_text(box: "RelativeBox | None") -> str:
    """Which part of the frame the network saw, in percent; empty for the whole."""
    if box is None:
        return ""
    left, top, width, height = (round(100 * value) for value in box)
    return f"  at {left},{top} size {width}x{height} %"
