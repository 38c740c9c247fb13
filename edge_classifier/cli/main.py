"""The entry point: finds the command, and turns every ending into a message and an exit code."""

import errno
import gc
import importlib
import io
import os
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from edge_classifier import __version__
from edge_classifier.core.text import escaped, one_line
from edge_classifier.errors import EdgeClassifierError, ExitCode, UsageError
from edge_classifier.files import may_be_there

# By what one wants to do: name to one line of help; each is this package's module of that name.
GROUPS = {
    "try": {
        "watch": "what does a camera see, what would be published?",
        "doctor": "is this machine up to it, and is anything wrong?",
        "models": "list, inspect, fetch and verify models",
        "bench": "what does the pipeline cost beside the bare network?",
    },
    "run": {
        "config": "write, check and show the daemon's settings",
        "run": "the daemon: cameras in, labels out over MQTT",
    },
    "teach": {
        "data": "check and sort pictures to learn from",
        "teach": "learn new labels in seconds, on the device itself",
        "train": "learn your own labels (on a workstation)",
        "evaluate": "how good is a model on labelled pictures?",
        "export": "write a model file for other programs, or a run's anew",
    },
    "look back": {
        "web": "the web page: upload, live view, history, review",
        "record": "the page's recorder alone, for many devices",
    },
}
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}
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
    # Usable, whatever the caller closed or cannot encode.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(given, is_program=arguments is None)
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


def _run(given: list[str], *, is_program: bool) -> ExitCode:
    """Run the command that is ``given``; as the whole program, that need not clean up after it."""
    if not given:
        print(map_of_commands())
        return ExitCode.OK
    name = _command_name(given)
    # What modules are made of stays: to look through it for garbage, again and again while they
    # are loaded, takes a twentieth of a short run.
    gc.disable()
    command = load_command(name)
    gc.freeze()
    gc.enable()
    parser = build_parser(name, command)
    # Pictures may stand before, between and behind options.
    parse = parser.parse_intermixed_args if name == CLASSIFY else parser.parse_args
    code = command.run(parse(given))
    sys.stdout.flush()
    if name == CLASSIFY and is_program:
        # Nothing is left to be done. To take a network and three libraries apart, piece by piece,
        # would take as long as ten pictures; the system does it at once.
        sys.stderr.flush()
        os._exit(code)
    return code


def map_of_commands() -> str:
    """What there is, for whoever knows nothing yet."""
    lines = [f"{PROGRAM} {__version__} says what a camera sees. What would you like to do?"]
    for title, commands in GROUPS.items():
        lines += ["", title]
        if title == "try":
            lines.append(f"  {PROGRAM} PICTURE   what is in a picture? also folders and patterns")
        lines += [f"  {PROGRAM} {name:<9} {text}" for name, text in commands.items()]
    lines += ["", "--help after any of them lists its options."]
    return "\n".join(lines)


def _command_name(given: list[str]) -> str:
    """The command, taken off ``given``; without one, pictures are classified."""
    first = given[0]
    if first in COMMANDS:
        return given.pop(0)
    # It is there, or is written as only a file, a pattern or an address is.
    is_place = any(sign in first for sign in "./*?[") or may_be_there(Path(first))
    if first.startswith("-") or is_place:
        return CLASSIFY
    import difflib  # Here, because a name that exists needs no neighbours.

    near = difflib.get_close_matches(first, COMMANDS, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(COMMANDS)}."
    raise UsageError(first, "no such command, and no such file", hint)


def _discard_output() -> None:
    """Python would flush what could not be written, and complain again, while it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def load_command(name: str) -> Command:
    """Import one command's module."""
    module: Command = importlib.import_module(f"edge_classifier.cli.{name}")
    return module


class BoundedParser(ArgumentParser):
    """Quotes what was given in an error as far as there is room, and fit for a terminal."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        super().error(one_line(message))


def build_parser(name: str, command: Command) -> ArgumentParser:
    """The parser of one command; the one without a name lists all others."""
    root = name == CLASSIFY
    commands = [f"  {PROGRAM} {other:<9} {text}" for other, text in COMMANDS.items()]
    codes = [f"  {code.value:>3}  {code.meaning}" for code in ExitCode]
    overview = "\n".join(["other commands:", *commands, "", "exit codes:", *codes])
    parser = BoundedParser(
        prog=PROGRAM if root else f"{PROGRAM} {name}",
        description=command.DESCRIPTION,
        epilog=overview if root else None,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    if root:
        parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _report_bug(error: Exception, arguments: Sequence[str]) -> int:
    hint = "--debug shows where" if "--debug" not in arguments else "please report it"
    text = f"internal error: {type(error).__name__}: {error} ({hint})"
    return _report((one_line(text),), ExitCode.BUG, arguments)


def _report(lines: Sequence[str], code: ExitCode, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        import traceback  # Here, because a run without an error has no use for it.

        traceback.print_exc()
    for line in lines:
        print(f"{PROGRAM}: {escaped(line)}", file=sys.stderr)
    return code
