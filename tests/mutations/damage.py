"""Seeded damage to files and texts, and what became of those who had to read them."""

import copy
import json
import logging
import random
import signal
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

SEED = 20_261_122
EXTREMES = (0, 1, 2, 3, 4, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000)
ALL_EXTREMES = (*EXTREMES, 0xFFFF_FFFF, 0xFFFF_FFFC, 0x0100_0000, 0x4000_0000, 0x7F80_0000)
# Values that no field of a message or a setting expects.
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    "",
    "x",
    "\x00",
    "\ud800",
    "a\nb",
    "=1+1",
    "\u202e",
    "ß" * 300,
    "9" * 5_000,
    0,
    -1,
    1.5,
    -1e308,
    10**30,
    2**63,
    [],
    {},
    [[[[]]]],
    {"": {"": None}},
)


class HangError(BaseException):
    """It took too long; no handler of ordinary errors may swallow it."""


@dataclass
class Findings:
    """How the trials of one kind ended."""

    endings: Counter[str] = field(default_factory=Counter)
    # What must not happen, with the number of the mutation.
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    @contextmanager
    def trial(self, name: str, *refusals: type[Exception], limit_s: float = 20.0) -> Iterator[None]:
        """One mutation: taken, or refused by one of ``refusals`` in one line, or it is wrong."""
        started = time.perf_counter()
        with _limited(limit_s), logged_tracebacks() as tracebacks:
            try:
                yield
                self.endings["taken"] += 1
            except refusals as error:
                self.endings["refused"] += 1
                if "\n" in str(error):
                    self.wrong.append(f"{name}: more than one line: {error!r:.300}")
            except HangError:
                self.wrong.append(f"{name}: hangs")
            except Exception as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
                self.wrong.append(f"{name}: {error!r:.300}")
        self.wrong += (f"{name}: logged {text:.300}" for text in tracebacks)
        self.slowest_s = max(self.slowest_s, time.perf_counter() - started)

    @property
    def tried(self) -> int:
        return self.endings.total() + len(self.wrong)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises HangError after ``seconds``. Works in the main thread only."""

    def hang(_number: int, _frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, hang)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def logged_tracebacks() -> Iterator[list[str]]:
    """What is logged with a traceback meanwhile, by any thread."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # The page's server leaves those of refused requests out of its log.
            is_refusal = record.name == "django.request" and record.levelno < logging.ERROR
            if record.exc_info and record.exc_info[1] and not is_refusal:
                found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")

    collector = Collector()
    logging.getLogger().addHandler(collector)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(collector)


def seeded(seed: int = SEED) -> random.Random:
    """The same mutations at every run."""
    return random.Random(seed)  # noqa: S311


def mutated(data: bytes, source: random.Random, start: int = 0, end: int | None = None) -> bytes:
    """``data`` with one to four kinds of damage between ``start`` and ``end``."""
    made = bytearray(data)
    end = len(made) if end is None else end
    for _ in range(source.choice((1, 1, 2, 4))):
        at = source.randrange(start, max(start + 1, min(end, len(made)) - 4))
        kind = source.randrange(6)
        if kind == 0:
            for _ in range(source.choice((1, 2, 8))):
                made[min(len(made) - 1, at + source.randrange(32))] ^= 1 << source.randrange(8)
        elif kind == 1:
            word = struct.pack(source.choice("<>") + "I", source.choice(ALL_EXTREMES))
            at -= source.choice((0, at % 4))
            made[at : at + 4] = word
        elif kind == 2:
            value = source.randrange(256)
            made[at : at + 2] = bytes((value, source.choice((0, value, 255))))
        elif kind == 3:
            made[at:at] = bytes([source.randrange(256)]) * source.choice((1, 2, 3, 4, 16, 300))
        elif kind == 4:
            other, size = source.randrange(len(made)), source.choice((1, 4, 8, 32, 200))
            made[at : at + size] = made[other : other + size]
        elif source.random() < 0.3:
            del made[at:]
        else:
            del made[at : at + source.choice((1, 2, 4, 40))]
        if len(made) < 8:
            break
    return bytes(made)


def mutated_json(payload: bytes, source: random.Random) -> bytes:
    """A JSON object with odd values in some places, or with damaged bytes."""
    if source.random() < 0.4:
        return mutated(payload, source) if len(payload) > 8 else payload
    found = json.loads(payload)
    for _ in range(source.choice((1, 1, 2, 4))):
        holder, key = source.choice(list(_places(found)) or [(found, "")])
        action = source.randrange(4)
        if action == 0 and key in holder:
            del holder[key]
        elif action == 1 and isinstance(holder, dict):
            holder[str(source.choice(ODD_VALUES))[:400]] = holder.get(key)
        else:
            holder[key] = copy.deepcopy(source.choice(ODD_VALUES))
    text = json.dumps(found)
    if source.random() < 0.05:
        text = "[" * 5_000 + text
    return text.replace('"NaN"', "NaN").encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a tree of JSON: its object and its key."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield value, key
            yield from _places(inner)
