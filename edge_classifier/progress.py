"""How long work shows that it goes on: a bar for a person, lines for a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from time import monotonic
from typing import Any, Protocol

# The longest that a log waits for a line.
_SILENCE_S = 60.0


class Unit(Enum):
    """What the amount of work is shown in."""

    SHARE = auto()
    COUNT = auto()
    BYTES = auto()


class ProgressDisplay(Protocol):
    """What long work tells."""

    def advance(self, amount: int = 1) -> None:
        """``amount`` more of the work is done."""

    def print_line(self, line: str) -> None:
        """Something that stays to be read."""

    def reach(self, done: int, total: int) -> None:
        """``done`` of ``total`` is done; 0: nobody knows of how much."""


@contextmanager
def show_progress(
    title: str, total: int, *, done: int = 0, shown: bool = True
) -> Iterator[ProgressDisplay]:
    """Progress on standard error from ``done`` to ``total``, with the time that is left.

    On a terminal a bar that goes away; otherwise what is said, and a line a minute. With
    ``shown`` false nothing at all: of several processes only one reports.
    """
    if not shown:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield LogProgress(title, total, done)
    else:
        with show_bar(title, total, done=done) as bar:
            yield bar


class LogProgress:
    """Lines on standard error."""

    def __init__(
        self, title: str, total: int, done: int = 0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._title, self._total, self._clock = title, total, clock
        self._first = self._done = done
        self._start = self._last = clock()

    def advance(self, amount: int = 1) -> None:
        """Say how far it is if nothing was said for a minute."""
        self._done += amount
        now = self._clock()
        if now - self._last >= _SILENCE_S:
            speed = (self._done - self._first) / (now - self._start)
            left_min = (self._total - self._done) / speed / 60 if speed else 0
            self.print_line(
                f"{self._title}: {self._done / self._total:.0%}, {left_min:.0f} min left"
            )

    def reach(self, done: int, total: int) -> None:
        """As ``advance``, of work whose amount is known late."""
        self._total = total or self._total
        self.advance(done - self._done)

    def print_line(self, line: str) -> None:
        """Print ``line`` at once: a log is watched."""
        self._last = self._clock()
        print(line, file=sys.stderr, flush=True)


class _Silent:
    def advance(self, amount: int = 1) -> None:
        pass

    def print_line(self, line: str) -> None:
        pass

    def reach(self, done: int, total: int) -> None:
        pass


@contextmanager
def show_bar(
    title: str,
    total: int | None,
    unit: Unit = Unit.SHARE,
    *,
    done: int = 0,
    shown: bool = True,
) -> Iterator[ProgressDisplay]:
    """A bar on standard error that goes away in the end; nothing where nobody watches."""
    if not (shown and sys.stderr.isatty()):
        yield _Silent()
        return
    # Late: most commands need no bar.
    from rich import progress
    from rich.console import Console

    columns = {
        Unit.SHARE: (progress.TaskProgressColumn(), progress.TimeRemainingColumn()),
        Unit.COUNT: (progress.MofNCompleteColumn(), progress.TimeRemainingColumn()),
        Unit.BYTES: (progress.DownloadColumn(), progress.TransferSpeedColumn()),
    }
    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *columns[unit],
        console=Console(stderr=True, highlight=False, markup=False),
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )
    with bar:
        yield _Bar(bar, bar.add_task(title, total=total, completed=done))


@dataclass(frozen=True, slots=True)
class _Bar:
    # A ``rich.progress.Progress`` and the number of its only task.
    bar: Any
    task: Any

    def advance(self, amount: int = 1) -> None:
        self.bar.advance(self.task, amount)

    def print_line(self, line: str) -> None:
        self.bar.console.print(line)

    def reach(self, done: int, total: int) -> None:
        self.bar.update(self.task, completed=done, total=total or None)
