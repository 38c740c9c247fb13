"""What is printed of each frame: on a terminal one line that changes, else a line a change."""

import json
import os
import time
from datetime import UTC, datetime
from math import floor
from typing import Any, Protocol, TextIO

from edge_classifier.cli.common import box_text
from edge_classifier.core.events import CameraState
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.text import escaped
from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.decision.explain import explain

_BAR = 12
# To the beginning of the line, and delete it.
_REWRITE = "\r\x1b[K"


class Display(Protocol):
    """Shows what became of frames."""

    def show_frame(self, pipeline: CameraPipeline, result: FrameResult) -> None:
        """One frame."""

    def show_trouble(self, reason: str) -> None:
        """Why no frames come."""

    def close(self) -> None:
        """Nothing more comes."""


def make_display(stream: TextIO, *, as_json: bool) -> Display:
    """The display for a stream."""
    if as_json:
        return _FrameJsonLines(stream)
    return _ChangingLine(stream) if stream.isatty() else _FrameLines(stream)


def why(pipeline: CameraPipeline, result: FrameResult) -> str:
    """What became of the frame and why, in words."""
    verdict = result.verdict
    return explain(verdict, pipeline.rules) if verdict else result.reason.meaning


def as_record(pipeline: CameraPipeline, result: FrameResult) -> dict[str, Any]:
    """The documented JSON object of a frame (docs/cli.md)."""
    state, best = pipeline.state(), result.verdict and result.verdict.best
    at = datetime.fromtimestamp(result.captured.at.utc, UTC)
    return {
        "at": at.isoformat(timespec="milliseconds"),
        "camera": pipeline.name,
        "label": state.label,
        "path": list(state.path),
        "score": round(state.score, 4),
        "best": best and {"label": best.label, "score": round(best.score, 4)},
        "box": result.box and result.box._asdict(),
        "reason": str(result.reason),
        "why": why(pipeline, result),
        "is_event": result.change is not None,
    }


class _Changes:
    """Tells whether a frame led to something else than the last one of its camera."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Any, ...]] = {}

    def is_one(self, pipeline: CameraPipeline, result: FrameResult) -> bool:
        verdict = result.verdict
        what = result.reason, verdict and (verdict.label, verdict.best.label)
        is_new = self._last.get(pipeline.name) != what
        self._last[pipeline.name] = what
        return is_new or result.change is not None


class _FrameJsonLines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changes = _Changes()

    def show_frame(self, pipeline: CameraPipeline, result: FrameResult) -> None:
        if self._changes.is_one(pipeline, result):
            self._print(as_record(pipeline, result))

    def show_trouble(self, reason: str) -> None:
        self._print({"error": reason})

    def close(self) -> None:
        """Nothing comes last."""

    def _print(self, record: dict[str, Any]) -> None:
        print(json.dumps(record, ensure_ascii=False), file=self._stream, flush=True)


class _FrameLines:
    """``time  best score  published: label  why``: a line a change."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._changes = _Changes()

    def show_frame(self, pipeline: CameraPipeline, result: FrameResult) -> None:
        if self._changes.is_one(pipeline, result):
            self._print(f"{_clock(result)}  {_seen(result)}  {outcome(pipeline, result)}")

    def show_trouble(self, reason: str) -> None:
        self._print(f"{time.strftime('%H:%M:%S')}  {escaped(reason)}")

    def close(self) -> None:
        """Nothing comes last."""

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class _ChangingLine:
    """One line that is written again for each frame; what would be published stays above it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_dirty = False
        print("Ctrl-C ends it. Nothing is published; lines that stay would be.", file=stream)

    def show_frame(self, pipeline: CameraPipeline, result: FrameResult) -> None:
        if result.change:
            change = f"{result.change.before} -> {result.change.after}"
            change += f" {_floored(result.change.score)}"
            self._write(f"{_clock(result)}  {change}{box_text(result.box)}\n")
        line = f"{_seen(result, with_bar=True)}  {outcome(pipeline, result)}"
        # COLUMNS may be that of another terminal, or of before a resize.
        self._write(line[: os.get_terminal_size(self._stream.fileno()).columns - 1])
        self._is_dirty = True

    def show_trouble(self, reason: str) -> None:
        self._write(f"{escaped(reason)}\n")

    def close(self) -> None:
        """Leave the cursor at the beginning of a line."""
        if self._is_dirty:
            print(file=self._stream, flush=True)

    def _write(self, text: str) -> None:
        print(_REWRITE + text, end="", file=self._stream, flush=True)
        self._is_dirty = False


def _clock(result: FrameResult) -> str:
    return time.strftime("%H:%M:%S", time.localtime(result.captured.at.utc))


def _seen(result: FrameResult, *, with_bar: bool = False) -> str:
    """The best label of the frame, its score, and where it was looked for."""
    if result.verdict is None:
        return "-"
    label, score = result.verdict.best
    bar = ""
    if with_bar:
        filled = round(_BAR * min(1.0, max(0.0, score)))
        bar = f" {'━' * filled}{'─' * (_BAR - filled)}"
        label = f"{label:<18.18}"
    return f"{label} {_floored(score)}{bar}{box_text(result.box)}"


def _floored(score: float) -> str:
    """As ``explain`` does: one that does not reach 0.60 never looks as if it did."""
    return f"{floor(100 * score + 1e-5) / 100:.2f}"


def outcome(pipeline: CameraPipeline, result: FrameResult) -> str:
    """What is published, and why, in words."""
    state: CameraState = pipeline.state()
    label = "nothing" if state.label == UNKNOWN else state.label
    return f"published: {label} ({why(pipeline, result)})"
