"""The figures of a report.json that somebody uploaded: those that are known, as a table."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from edge_classifier.errors import UsageError

# Of report.json, as ``evaluation.report_figures`` writes it.
FORMAT = 1
MOST_BYTES = 8_000_000
_MOST_LABELS = 2000
_MOST_PAIRS = 20
_LONGEST = 200
_FILE = "report.json"


class CountedShare(NamedTuple):
    """``hits`` of ``pictures``, and the 95 % interval of that share, in [0, 1]."""

    hits: int
    pictures: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """In [0, 1]; None of no picture."""
        return self.hits / self.pictures if self.pictures else None


class LabelFigures(NamedTuple):
    """One label of a report."""

    label: str
    chinese: str
    recall: CountedShare
    precision: CountedShare

    @property
    def name(self) -> str:
        """As templates call a label's name."""
        return self.label


class ReportedPair(NamedTuple):
    """How often pictures of ``truth`` were taken for ``predicted``."""

    truth: str
    predicted: str
    share: CountedShare


@dataclass(frozen=True, slots=True)
class UploadedReport:
    """What is shown of a report."""

    title: str
    made: str
    accuracy: CountedShare
    labels: tuple[LabelFigures, ...]
    pairs: tuple[ReportedPair, ...]

    @classmethod
    def parse(cls, content: bytes, sha256: str) -> "UploadedReport":
        """Of the model with this hash. Raises UsageError for any other file."""
        try:
            facts = json.loads(content)
            if facts["format"] != FORMAT:
                raise UsageError(_FILE, _("is of another version of edge-classifier"))
            of = facts["model"]["sha256"]
            found = report_of(facts)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problem = _("is not a report of edge-classify train or evaluate")
            raise UsageError(_FILE, problem) from error
        if of != sha256:
            raise UsageError(_FILE, _("is the report of another model"))
        return found

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> "UploadedReport":
        """What ``as_json`` gave. Raises KeyError and TypeError for anything else."""
        return cls(
            kept["title"],
            kept["made"],
            CountedShare(*kept["accuracy"]),
            tuple(
                LabelFigures(name, chinese, CountedShare(*recall), CountedShare(*precision))
                for name, chinese, recall, precision in kept["labels"]
            ),
            tuple(
                ReportedPair(truth, seen, CountedShare(*share))
                for truth, seen, share in kept["pairs"]
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def report_of(facts: Mapping[str, Any]) -> UploadedReport:
    """What is shown of a report's ``facts``. Raises KeyError, TypeError and ValueError."""
    return UploadedReport(
        title=_text(facts["title"]),
        made=_text(facts["made"]),
        accuracy=_share(facts["accuracy"]["top1"]),
        labels=tuple(
            LabelFigures(
                _text(one["label"]),
                _text(one.get("names", {}).get("zh", "")),
                _share(one["recall"]),
                _share(one["precision"]),
            )
            for one in facts["labels"][:_MOST_LABELS]
        ),
        pairs=tuple(
            ReportedPair(_text(one["truth"]), _text(one["predicted"]), _share(one))
            for one in facts["confused_pairs"][:_MOST_PAIRS]
        ),
    )


def _share(one: dict[str, Any]) -> CountedShare:
    low, high = float(one["low"]), float(one["high"])
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("no share")
    return CountedShare(int(one["hits"]), int(one["count"]), low, high)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value[:_LONGEST]
