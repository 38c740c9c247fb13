"""History as a file: every record that a filter finds, the newest first.

A record has these fields, in this order:

    key          its own id, as in its address
    source       event (a camera's), upload or api
    device       of events: the daemon's name
    camera       of events: the camera's name
    at           when the frame was captured or the picture uploaded, UTC: 2026-11-22T11:39:00.238Z
    label        what the model took it for
    label_zh     its Chinese name, if it has one
    before       of events: what the camera showed before
    score        of the label, from 0 to 1: when it has gone, the highest that it had
    margin       how far it was ahead of the second one
    top          the best labels, best first: [[label, score], ...]
    model        name and first digits of the SHA-256 of the model's file
    delay_ms     of events: milliseconds from capture to publication
    verdict      confirmed, corrected or rejected; empty without a review
    truth        what it really shows: when confirmed or corrected
    reviewer     name of the account
    reviewed_at  as ``at``
    picture      SHA-256 of the picture
    address      of the picture, for who may see it
    recorded_at  when it came into the database, as ``at``
    device_at    of events whose device had a wrong clock: what that said; ``at`` is then when the
                 event was received
    kind         seen; or glimpsed: for too short a time to be an event
    entry_score  of events whose label has gone: the score with which it came
    duration_s   of events: seconds for which the label stayed, once it has gone
    peak_at      as ``at``: when it had the highest score
    path         of events: names from the root of a tree of labels to the label
    box          of events: what was looked at in the picture, in shares of its width and height:
                 [left, top, width, height]
    reason       of glimpses, why the label was not held: dwell, margin, or below_threshold
    needs_s      of glimpses: seconds for which it would have had to hold

What there is not is empty in CSV. In JSON it is null, where it is no text that can be empty.

CSV begins with a byte order mark, without which spreadsheets take Chinese for another alphabet
(Python reads it as ``utf-8-sig``; pandas as it is); ``top``, ``path`` and ``box`` are JSON in it. A
text that a spreadsheet would run as a formula has an apostrophe put before it, also where it stands
behind a semicolon, a tab or a bar within the text. JSON has everything as it is: one array, so that
a download that broke off cannot pass for a whole one, and each record on a line of its own.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from edge_classifier.core.text import without_formulas
from edge_classifier.files import utc_stamp
from edge_classifier.web.models import Record
from edge_classifier.web.records.display import with_relations
from edge_classifier.web.records.keyset import NEWEST, Parts, Position, fetch, older

FIELDS = (
    "key", "source", "device", "camera", "at", "label", "label_zh", "before", "score", "margin",
    "top", "model", "delay_ms", "verdict", "truth", "reviewer", "reviewed_at", "picture", "address",
    "recorded_at", "device_at", "kind", "entry_score", "duration_s", "peak_at", "path", "box",
    "reason", "needs_s", "new_here",
)  # fmt: skip
_AT_ONCE = 500
_MARK = "\ufeff"


def walk(records: Parts) -> Iterator[Record]:
    """All of ``records``, the newest first, a few in memory at a time.

    Each step is a query of its own: a slow reader keeps no transaction open.
    """
    step = fetch(records, NEWEST, _AT_ONCE, with_relations)
    while step:
        yield from step
        step = fetch(
            [older(part, Position.of(step[-1])) for part in records],
            NEWEST,
            _AT_ONCE,
            with_relations,
        )


def row(record: Record, address: Callable[[Record], str]) -> dict[str, Any]:
    """One record as values of JSON. ``address`` makes that of its picture."""
    camera, picture, truth = record.camera, record.picture, record.truth
    return {
        "key": str(record.key),
        "source": record.origin,
        "device": camera.device if camera else None,
        "camera": camera.name if camera else None,
        "at": _stamp(record.at),
        "label": record.label.name,
        "label_zh": record.label.chinese,
        "before": record.before,
        "score": record.score,
        "margin": record.margin,
        "top": record.top,
        "model": record.model,
        "delay_ms": record.delay_ms,
        "verdict": record.verdict,
        "truth": truth.name if truth else None,
        "reviewer": record.reviewer.get_username() if record.reviewer else None,
        "reviewed_at": _stamp(record.reviewed_at),
        "picture": picture.sha256 if picture else None,
        "address": address(record) if picture else None,
        "recorded_at": _stamp(record.recorded_at),
        "device_at": _stamp(record.device_at),
        "kind": record.kind,
        "entry_score": record.entry_score,
        "duration_s": record.duration_s,
        "peak_at": _stamp(record.peak_at),
        "path": record.detail.get("path", []),
        "box": record.detail.get("box"),
        "reason": record.detail.get("reason", ""),
        "needs_s": record.detail.get("needs_s"),
        "new_here": bool(record.new_here),
    }


def _stamp(moment: datetime | None) -> str | None:
    return utc_stamp(moment.timestamp()) if moment else None


class _Line:
    """Takes one line from ``csv`` and hands it on."""

    def write(self, text: str) -> str:
        return text


def as_csv(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The lines of a file of CSV."""
    writer = csv.writer(_Line())
    yield _MARK + writer.writerow(FIELDS)
    for found in rows:
        yield writer.writerow([_cell(found[name]) for name in FIELDS])


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        # Between its texts JSON has nothing that begins a formula: an apostrophe is within one.
        return without_formulas(json.dumps(value, ensure_ascii=False)) if value else ""
    return without_formulas(value) if isinstance(value, str) else value


def as_json(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The lines of a file of JSON."""
    between = "[\n"
    for found in rows:
        yield between + json.dumps(found, ensure_ascii=False)
        between = ",\n"
    yield "\n]\n" if between == ",\n" else "[]\n"
