"""The entry point: finds the command, and turns every ending into a message and an exit code."""

import importlib
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Protocol

from edge_classifier import __version__
from edge_classifier.errors import EdgeClassifierError, ExitCode

COMMANDS = {
    "models": "list, inspect, fetch and verify models",
    "bench": "measure decoding, preprocessing and inference against the bare network",
    "doctor": "check this machine: runtime, accelerators, model, one timed inference",
}
"""Name to one line of help; each is the module of that name in this package."""
CLASSIFY = "classify"
PROGRAM = "edge-classify"


class Command(Protocol):
    """What a command's module has."""

    DESCRIPTION: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare its options."""

    def run(self, options: Namespace) -> ExitCode:
        """Do it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        name = given.pop(0) if given and given[0] in COMMANDS else CLASSIFY
        command = load_command(name)
        options = build_parser(name, command).parse_args(given)
        code = command.run(options)
        sys.stdout.flush()
        return code
    except EdgeClassifierError as error:
        return _report(str(error), error.exit_code, given)
    except KeyboardInterrupt:
        return _report("interrupted", ExitCode.INTERRUPTED, given)
    except BrokenPipeError:
        # The reader has gone, as `head` does. Python would complain again while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 (the last resort: a bug gets a message and a code)
        hint = "--debug shows where" if "--debug" not in given else "please report it"
        text = f"internal error: {type(error).__name__}: {error} ({hint})"
        return _report(" ".join(text.split()), ExitCode.BUG, given)


def load_command(name: str) -> Command:
    """Import one command's module."""
    module: Command = importlib.import_module(f"edge_classifier.cli.{name}")
    return module


def build_parser(name: str, command: Command) -> ArgumentParser:
    """The parser of one command; the one without a name lists all others."""
    root = name == CLASSIFY
    parser = ArgumentParser(
        prog=PROGRAM if root else f"{PROGRAM} {name}",
        description=command.DESCRIPTION,
        epilog=_epilog() if root else None,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    if root:
        parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _epilog() -> str:
    commands = [f"  {PROGRAM} {name:<9} {text}" for name, text in COMMANDS.items()]
    codes = [f"  {code.value:>3}  {code.meaning}" for code in ExitCode]
    return "\n".join(["other commands:", *commands, "", "exit codes:", *codes])


def _report(message: str, code: ExitCode, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        import traceback  # Here, because a run without an error has no use for it.

        traceback.print_exc()
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return code
