"""The entry point: finds the command, and turns every ending into a message and an exit code."""

import errno
import importlib
import io
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edge_classifier import __version__
from edge_classifier.core.text import escaped
from edge_classifier.errors import EdgeClassifierError, ExitCode, UsageError

# Name to one line of help; each is the module of that name in this package.
COMMANDS = {
    "run": "the daemon: classify cameras and publish their labels over MQTT",
    "models": "list, inspect, fetch and verify models",
    "bench": "measure decoding, preprocessing and inference against the bare network",
    "doctor": "check this machine: runtime, accelerators, model, one timed inference",
    "config": "write, check and show the daemon's settings",
    "data": "check pictures to learn from, and sort those that the daemon kept",
    "train": "learn to tell your own pictures apart (on a workstation)",
    "export": "write the model file of a trained run anew",
    "evaluate": "measure a model on labelled pictures",
    "web": "the web page: upload and classify, live view, history, review",
    "record": "write what the daemons publish into the database, apart from the web page",
}
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
    _open_streams()
    try:
        name = _command_name(given)
        command = load_command(name)
        options = build_parser(name, command).parse_args(given)
        code = command.run(options)
        sys.stdout.flush()
        return code
    except EdgeClassifierError as error:
        return _report(error.lines, error.exit_code, given)
    except KeyboardInterrupt:
        _report(("interrupted",), ExitCode.INTERRUPTED, given)
        # Without the usual cleanup: a thread may be in a read that never ends.
        os._exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone, as `head` does.
        _discard_output()
        return ExitCode.OK
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            return _report_bug(error, given)
        _discard_output()
        text = f"standard output: cannot be written ({error.strerror})"
        return _report((text,), ExitCode.CANNOT_WRITE, given)
    except Exception as error:  # noqa: BLE001 (the last resort: a bug gets a message and a code)
        return _report_bug(error, given)


def _command_name(given: list[str]) -> str:
    """The command, taken off ``given``; without one, pictures are classified."""
    if not given or given[0].startswith("-"):
        return CLASSIFY
    if given[0] in COMMANDS:
        return given.pop(0)
    remedy = f"There are {', '.join(COMMANDS)}; for a picture: {PROGRAM} --image {given[0]}"
    raise UsageError(given[0], "no such command", remedy)


def _open_streams() -> None:
    """Make standard output and error usable, whatever the caller closed or cannot encode."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Python would flush what could not be written, and complain again, while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


def _report_bug(error: Exception, arguments: Sequence[str]) -> int:
    hint = "--debug shows where" if "--debug" not in arguments else "please report it"
    text = f"internal error: {type(error).__name__}: {error} ({hint})"
    return _report((" ".join(text.split()),), ExitCode.BUG, arguments)


def _report(lines: Sequence[str], code: ExitCode, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        import traceback  # Here, because a run without an error has no use for it.

        traceback.print_exc()
    for line in lines:
        print(f"{PROGRAM}: {escaped(line)}", file=sys.stderr)
    return code
