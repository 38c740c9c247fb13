"""Every error that this project raises on purpose, and the exit code each one becomes.

    EdgeClassifierError
    ├── UsageError            2   the command was called wrongly
    ├── PictureError         65   a picture cannot be decoded, or is refused
    │   └── TooManyPixelsError   65   it would take too much memory
    ├── DatasetError         65   class folders of pictures cannot be learned from
    ├── ModelError           65   a model file cannot be used
    ├── MissingFileError     66   a named file or folder is not there
    ├── UnavailableError     69   something outside does not answer
    │   ├── DelegateError    69   an accelerator's library crashes, hangs or refuses
    │   ├── DownloadError    69   a model or a picture cannot be fetched
    │   ├── StorageError     69   pictures cannot be read or kept just now
    │   └── CameraError      69   a camera cannot be opened or gives no frames
    │       └── EndOfFrames  69   a file or a folder of pictures has been shown
    ├── OutputError          73   a result cannot be written
    ├── ContractError        78   model, labels and preprocessing do not fit together
    └── ConfigurationError   78   a setting is wrong

The codes from 64 up are those of BSD's ``sysexits.h``. Whatever else escapes is a bug: 70.
"""

from enum import IntEnum
from typing import ClassVar

from edge_classifier.core.text import shortened


class ExitCode(IntEnum):
    """What ``edge-classify`` returns to the shell; listed in ``--help`` and docs/cli.md."""

    OK = 0
    USAGE = 2
    BAD_DATA = 65
    MISSING_FILE = 66
    UNAVAILABLE = 69
    BUG = 70
    CANNOT_WRITE = 73
    CONFIGURATION = 78
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "ok",
    ExitCode.USAGE: "the command was called wrongly",
    ExitCode.BAD_DATA: "a picture, a folder of pictures or a model cannot be used",
    ExitCode.MISSING_FILE: "a file, folder or model is not there",
    ExitCode.UNAVAILABLE: "an accelerator, a download, a camera or the broker is unavailable",
    ExitCode.BUG: "a bug in edge-classify; --debug shows where",
    ExitCode.CANNOT_WRITE: "a result cannot be written",
    ExitCode.CONFIGURATION: "model, labels and settings do not fit together",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}


class EdgeClassifierError(Exception):
    """An expected failure: what it is about, what is wrong, and what to do.

    Each part may quote what somebody gave, however long that is: whoever shows it gets it bounded.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, subject: str, problem: str, remedy: str = "") -> None:
        self.subject = shortened(subject)
        # Some have a line for each thing that is wrong; sentences that are short stay so.
        lines = "\n".join(map(shortened, problem.splitlines()))
        self.problem = problem if problem == lines else lines
        bounded = shortened(remedy)
        self.remedy = remedy if remedy == bounded else bounded
        super().__init__(self.subject, self.problem, self.remedy)

    @property
    def lines(self) -> tuple[str, ...]:
        """What to print, a line each."""
        return (str(self),)

    def __str__(self) -> str:
        # Causes may come with line breaks of their own; a name's blanks are its own.
        stop = "" if self.problem.endswith((".", "?", "!")) else "."
        rest = f"{self.problem}{stop} {self.remedy}" if self.remedy else self.problem
        return f"{self.subject}: {' '.join(rest.split())}"


class SeveralProblemsError(EdgeClassifierError):
    """``problem`` holds all that is wrong, a line each, so that it can be mended in one go."""

    def __str__(self) -> str:
        return "; ".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """Each problem by itself."""
        problems = self.problem.splitlines()
        if len(problems) < 2:
            return (super().__str__(),)
        return tuple(f"{self.subject}: {problem}" for problem in problems)


class UsageError(EdgeClassifierError):
    """The command was called in a way that cannot be meant."""

    exit_code = ExitCode.USAGE


class PictureError(EdgeClassifierError):
    """A picture cannot be decoded, or is refused before it is decoded."""

    exit_code = ExitCode.BAD_DATA


class TooManyPixelsError(PictureError):
    """A picture is larger than the limit, and was not decoded."""


class DatasetError(SeveralProblemsError):
    """Class folders of pictures cannot be learned from."""

    exit_code = ExitCode.BAD_DATA


class ModelError(EdgeClassifierError):
    """A file is not a TFLite model, or one that a classifier cannot run."""

    exit_code = ExitCode.BAD_DATA


class MissingFileError(EdgeClassifierError):
    """A file, folder or catalogue model that was named is not there."""

    exit_code = ExitCode.MISSING_FILE


class UnavailableError(EdgeClassifierError):
    """Something outside this process does not answer as it should."""

    exit_code = ExitCode.UNAVAILABLE


class DelegateError(UnavailableError):
    """An accelerator's library crashed, hung, or is not a delegate."""


class DownloadError(UnavailableError):
    """A model or a picture could not be fetched, or is not what was promised."""


class StorageError(UnavailableError):
    """The storage of pictures fails: a folder, or a bucket.

    ``detail`` is what it said, for the log: it may name a machine, which is not for visitors.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__("pictures", problem)
        self.detail = detail


class CameraError(UnavailableError):
    """A camera cannot be opened, has gone, or gives no frames in time."""


class EndOfFrames(CameraError):  # noqa: N818 (an ending, not always a failure)
    """A file or a folder of pictures has been shown to its end."""


class OutputError(EdgeClassifierError):
    """A file or standard output cannot be written."""

    exit_code = ExitCode.CANNOT_WRITE


class ContractError(EdgeClassifierError):
    """Model, labels and preprocessing contract contradict one another."""

    exit_code = ExitCode.CONFIGURATION


class ConfigurationError(SeveralProblemsError):
    """Settings are wrong: one line a setting."""

    exit_code = ExitCode.CONFIGURATION
