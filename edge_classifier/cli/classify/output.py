"""How results are printed: for people on a terminal, for programs everywhere else."""

import json
import math
from enum import StrEnum
from typing import Any, Protocol, TextIO

from edge_classifier.batch import BatchItem
from edge_classifier.classifier import Classification
from edge_classifier.core.scores import Prediction
from edge_classifier.core.text import escaped, without_formulas, writable


class Format(StrEnum):
    """What ``--format`` takes."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class ResultWriter(Protocol):
    """Prints outcomes one by one."""

    def write(self, outcome: BatchItem) -> None:
        """Print one."""

    def close(self) -> None:
        """Print what comes last."""


def as_record(outcome: BatchItem, model: str) -> dict[str, Any]:
    """The documented JSON object of one picture (docs/cli.md)."""
    if outcome.error or outcome.classification is None:
        return {
            "image": writable(outcome.reference),
            "model": model,
            "error": writable(str(outcome.error)),
        }
    found = outcome.classification
    at = {} if outcome.at_s is None else {"at_s": round(outcome.at_s, 3)}
    return {
        "image": writable(outcome.reference),
        **at,
        "model": model,
        "predictions": [
            # JSON has no NaN, which a broken float network gives.
            {
                "label": p.label,
                "index": p.index,
                "score": None if math.isnan(p.score) else round(p.score, 6),
                "id": p.id or None,
                "path": list(p.path) if p.path or p.index is None else [p.label],
            }
            for p in worth_showing(found)
        ],
        "timings_ms": {
            "decode": round(outcome.decode_ms, 3),
            "preprocess": round(found.preprocess_ms, 3),
            "inference": round(found.inference_ms, 3),
            "total": round(outcome.total_ms, 3),
        },
    }


def title(outcome: BatchItem) -> str:
    """The picture's name for people; a second of a video as a fragment (W3C's Media Fragments)."""
    second = "" if outcome.at_s is None else f"#t={outcome.at_s:.1f}"
    return f"{escaped(outcome.reference)}{second}"


def worth_showing(found: Classification) -> list[Prediction]:
    """The best prediction, and the others that have any score at all."""
    return [p for number, p in enumerate(found.predictions) if number == 0 or p.score > 0]


def make_writer(format_: Format, model: str, stream: TextIO) -> ResultWriter:
    """The writer for a format; text looks different on a terminal."""
    if format_ is Format.JSON:
        return _Json(model, stream)
    if format_ is Format.JSONL:
        return _JsonLines(model, stream)
    if format_ is Format.CSV:
        return _Csv(stream)
    return _Terminal() if stream.isatty() else _Lines(stream)


class _Json:
    """One array; written as it grows, so that a long batch shows life and keeps what it has."""

    def __init__(self, model: str, stream: TextIO) -> None:
        self._model = model
        self._stream = stream
        self._separator = "["

    def write(self, outcome: BatchItem) -> None:
        text = json.dumps(as_record(outcome, self._model), ensure_ascii=False, indent=1)
        self._stream.write(f"{self._separator}\n{text}")
        self._separator = ","

    def close(self) -> None:
        self._stream.write("\n]\n")


class _JsonLines:
    def __init__(self, model: str, stream: TextIO) -> None:
        self._model = model
        self._stream = stream

    def write(self, outcome: BatchItem) -> None:
        record = as_record(outcome, self._model)
        self._stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing comes last."""


class _Csv:
    """One line a label; pictures that could not be read have none."""

    def __init__(self, stream: TextIO) -> None:
        import csv  # Here, because few runs write it.

        self._writer = csv.writer(stream, lineterminator="\n")
        self._writer.writerow(["image", "rank", "label", "index", "score"])

    def write(self, outcome: BatchItem) -> None:
        found = outcome.classification
        for rank, p in enumerate(worth_showing(found) if found else (), 1):
            index = "" if p.index is None else p.index
            image = without_formulas(title(outcome))
            label = without_formulas(p.label)
            self._writer.writerow([image, rank, label, index, round(p.score, 6)])

    def close(self) -> None:
        """Nothing comes last."""


class _Lines:
    """``picture<TAB>label score<TAB>label score ...``: clean for cut, awk and grep."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, outcome: BatchItem) -> None:
        if outcome.classification:
            parts = [f"{p.label} {p.score:.3f}" for p in worth_showing(outcome.classification)]
            self._stream.write("\t".join([title(outcome), *parts]) + "\n")

    def close(self) -> None:
        """Nothing comes last."""


class _Terminal:
    """A block with bars a picture, by rich."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)

    def write(self, outcome: BatchItem) -> None:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        if outcome.classification is None:
            return
        # The score is never cut: a narrow terminal loses the bars, then the ends of labels.
        bar = 24 if self._console.width >= 64 else 0
        room = self._console.width - bar - 9
        table = Table.grid(padding=(0, 1))
        table.add_column(width=max(8, min(36, room)), no_wrap=True, overflow="ellipsis")
        table.add_column(width=bar)
        table.add_column(width=5, justify="right")
        for p in worth_showing(outcome.classification):
            shown = ProgressBar(1.0, p.score, width=bar) if bar else ""
            table.add_row(Text(p.label), shown, f"{p.score:.3f}")
        head = Text(title(outcome), style="bold")
        head.append(f"  {outcome.total_ms:.1f} ms", style="dim")
        self._console.print(head, table, "", sep="\n")

    def close(self) -> None:
        """Nothing comes last."""
