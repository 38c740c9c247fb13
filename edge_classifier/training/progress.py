"""How long work shows that it goes on: a bar for a person, lines for a log."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

# The longest that a log waits for a line.
_SILENCE_S = 60.0


class ProgressDisplay(Protocol):
    """What long work tells."""

    def advance(self, amount: int) -> None:
        """``amount`` more of the work is done."""

    def say(self, line: str) -> None:
        """Something that stays to be read."""


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
        with _bar(title, total, done) as bar:
            yield bar


class _Silent:
    def advance(self, amount: int) -> None:
        pass

    def say(self, line: str) -> None:
        pass


class LogProgress:
    """Lines on standard error."""

    def __init__(
        self, title: str, total: int, done: int = 0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._title, self._total, self._clock = title, total, clock
        self._first = self._done = done
        self._start = self._last = clock()

    def advance(self, amount: int) -> None:
        """Say how far it is if nothing was said for a minute."""
        self._done += amount
        now = self._clock()
        if now - self._last >= _SILENCE_S:
            speed = (self._done - self._first) / (now - self._start)
            left_min = (self._total - self._done) / speed / 60 if speed else 0
            self.say(f"{self._title}: {self._done / self._total:.0%}, {left_min:.0f} min left")

    def say(self, line: str) -> None:
        """Print ``line`` at once: a log is watched."""
        self._last = self._clock()
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[ProgressDisplay]:
    # Late: a log does not need it.
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = TextColumn(title), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    console = Console(stderr=True, highlight=False, markup=False)
    redirect = sys.stdout.isatty()
    with RichProgress(*columns, console=console, transient=True, redirect_stdout=redirect) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield _Bar(lambda amount: bar.advance(task, amount), console.print)


@dataclass(frozen=True, slots=True)
class _Bar:
    advance: Callable[[int], None]
    say: Callable[[str], None]
