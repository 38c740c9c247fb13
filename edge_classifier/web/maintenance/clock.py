"""How far this machine's clock can be believed, before anything is deleted for its age.

A Raspberry Pi has no clock of its own that runs while it is off: after a start it knows the time of
its last hour, or 1970, until the network tells. And somebody may set a clock wrongly. So the clock
is compared with what cannot be set: the time since the machine's start.
"""

import ctypes
import json
import logging
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from edge_classifier.errors import OutputError
from edge_classifier.files import write_whole

_log = logging.getLogger(__name__)
_HOUR_S = 3600.0
_DAY_S = 86_400.0
# A machine that was off for longer may be right; but then its clock is all that says so.
_LONGEST_OFF_S = 30 * _DAY_S
# Between the clock of the kernel and the one that this program is shown.
_SAME_S = 60.0
_TIMEDATECTL_S = 5.0
# Of adjtimex(2): what it returns, and what it has in ``status``.
_TIME_ERROR, _STA_UNSYNC = 5, 0x40


class Trust(Enum):
    """What may be deleted for its age."""

    # Something outside of this machine sets the clock.
    CONFIRMED = "confirmed"
    # It has run on as time has passed; nothing says whether it was right.
    STEADY = "steady"
    # It was set, or has leapt, less than a day ago.
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The clock at one moment, and what it can be compared with."""

    # UTC seconds.
    wall_s: float
    # Another one after each start of the machine.
    boot: str
    # Since then, also while it slept.
    uptime_s: float
    # Whether the network, or a receiver, sets it; None: nobody says.
    synchronized: bool | None


@dataclass(frozen=True, slots=True)
class KnownClock:
    """What is kept of a reading for the next one."""

    wall_s: float
    boot: str
    uptime_s: float
    # How long it has run steadily since it leapt last; not counted beyond a day.
    steady_s: float


def judge(reading: ClockReading, before: KnownClock | None) -> tuple[Trust, KnownClock]:
    """How far ``reading`` can be believed after ``before``, and what is to be kept of it."""
    steady_s = before.steady_s if before else _DAY_S
    if reading.synchronized:
        steady_s = _DAY_S
    elif before:
        progress_s = reading.wall_s - before.wall_s
        is_same_boot = reading.boot == before.boot and reading.uptime_s >= before.uptime_s
        passed_s = reading.uptime_s - before.uptime_s if is_same_boot else 0.0
        most_s = passed_s + (_HOUR_S if is_same_boot else _LONGEST_OFF_S)
        has_leapt = not passed_s - _HOUR_S <= progress_s <= most_s
        steady_s = 0.0 if has_leapt else min(_DAY_S, steady_s + passed_s)
    known = KnownClock(reading.wall_s, reading.boot, reading.uptime_s, steady_s)
    if reading.synchronized:
        return Trust.CONFIRMED, known
    return (Trust.STEADY if steady_s >= _DAY_S else Trust.DOUBTFUL), known


class ClockGuard:
    """Judges the clock round by round; what it knows outlives the process, in ``file``."""

    def __init__(self, file: Path, read: Callable[[], ClockReading]) -> None:
        self._file = file
        self._read = read

    def trust(self) -> Trust:
        """As of now."""
        found, known = judge(self._read(), self._known())
        try:
            write_whole(self._file, json.dumps(asdict(known)))
        except OutputError as error:
            # On a full disk nothing is more urgent than to delete something.
            _log.warning("%s", error)
        return found

    def _known(self) -> KnownClock | None:
        try:
            found = KnownClock(**json.loads(self._file.read_text("utf-8")))
            numbers = (found.wall_s, found.uptime_s, found.steady_s)
            return found if all(isinstance(one, int | float) for one in numbers) else None
        except (OSError, ValueError, TypeError):
            return None


def read_clock() -> ClockReading:
    """The machine's clock. Uptime is read where it cannot be made up for one program."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        uptime_s = float(Path("/proc/uptime").read_text("ascii").split()[0])
    except (OSError, ValueError):
        boot, uptime_s = "", time.monotonic()
    wall_s = time.time()
    return ClockReading(wall_s, boot, uptime_s, _is_synchronized(wall_s))


def _is_synchronized(wall_s: float) -> bool | None:
    """Whether the kernel says that its clock is set from outside, and ours is the same clock."""
    # A struct timex as words: ``modes`` first, 0 to read only; then four numbers, ``status``, three
    # more, and the time. Where a word is longer than an int, the int is in its low half.
    words = (ctypes.c_long * 64)()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(words)
    except AttributeError:
        return None
    if state < 0:
        # The unit hides the call, which can set the clock as well; systemd's service tells.
        return _systemd_says()
    is_set = state != _TIME_ERROR and not words[5] & _STA_UNSYNC
    return is_set and abs(words[9] - wall_s) < _SAME_S


def _systemd_says() -> bool | None:
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEDATECTL_S,
            check=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())
