"""Models compared on reviewed pictures, in a child process, one comparison at a time."""

import json
import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.db import connection

from edge_classifier import child
from edge_classifier.core.sentence import Sentence, to_json, with_replaced
from edge_classifier.errors import EdgeClassifierError, UnavailableError, UsageError
from edge_classifier.web.database_away import is_away
from edge_classifier.web.installed_models.store import InstalledModel
from edge_classifier.web.installed_models.uploaded_report import report_of
from edge_classifier.web.models import Comparison, Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.review import datasets
from edge_classifier.web.review.folder_names import NAMES_FILE
from edge_classifier.web.wording import parts_of

_log = logging.getLogger(__name__)
_PREFIX = "compare-"
_DATA, _PROBE = "reviewed", "one-of-each"
# A label, how many pictures it has, and the models that lack it; none are named where it is clear.
_LeftOut = tuple[str, int, list[str]]
# What a slow machine takes to begin, and for one picture; four times as long as a Pi Zero 2.
_START_S, _PICTURE_S = 120.0, 2.0
# Of one model, in the database.
_MOST_LABELS, _MOST_MISTAKES = 30, 60


@dataclass(frozen=True, slots=True)
class ComparisonProgress:
    """The progress of a comparison."""

    models: tuple[str, ...]
    done: int
    pictures: int
    # By ``time.monotonic``.
    started: float

    @property
    def seconds(self) -> int:
        """Since the beginning."""
        return int(time.monotonic() - self.started)

    @property
    def model(self) -> str:
        """The one that is measured now."""
        return self.models[min(self.done, len(self.models) - 1)]


class ComparisonRunner:
    """Runs one comparison at a time, in a thread. After a restart none runs."""

    def __init__(self, scratch: Path) -> None:
        """``scratch``: a folder for what is gone when a comparison ends."""
        self._scratch = scratch
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.progress: ComparisonProgress | None = None
        # Why the last one ended without a result, as ``parts_of`` has it; else empty.
        self.problem: tuple[object, ...] = ()

    def start(self, models: Sequence[InstalledModel], since: date | None = None) -> bool:
        """Compare ``models`` on the pictures since a day; False if another comparison runs.

        Raises UnavailableError when the system gives no thread.
        """
        with self._lock:
            if self.progress:
                return False
            names = tuple(model.name for model in models)
            self.progress, self.problem = ComparisonProgress(names, 0, 0, time.monotonic()), ()
        arguments = (tuple(models), since)
        thread = threading.Thread(target=self._run, args=arguments, name="compare", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self.progress = None
            problem = Sentence("cannot be begun ({cause})", cause=str(error))
            remedy = Sentence("Try again later.")
            raise UnavailableError("the comparison", problem, remedy) from error
        self._thread = thread
        return True

    def wait(self, within_s: float) -> None:
        """Wait for the end of the comparison."""
        if self._thread:
            self._thread.join(within_s)

    def _run(self, models: Sequence[InstalledModel], since: date | None) -> None:
        try:
            self._compare(models, since)
        except Exception as error:  # noqa: BLE001 (a thread's end would be seen by nobody)
            if isinstance(error, EdgeClassifierError | OSError) or is_away(error):
                _log.warning("the comparison ended: %s", error)
                self.problem = parts_of(error)
            else:
                _log.exception("the comparison broke off")
                self.problem = (type(error).__name__,)
        finally:
            self.progress = None
            connection.close()

    def _compare(self, models: Sequence[InstalledModel], since: date | None) -> None:
        # What a comparison that was killed has left.
        for left in self._scratch.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        facts = {"run": secrets.token_hex(8), "since": since.isoformat() if since else ""}
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix=_PREFIX) as made:
            folder = Path(made)
            classes = _write_dataset(folder / _DATA, since)
            left_out = _leave_out(folder, classes, models) if len(models) > 1 else []
            count = sum(1 for _ in folder.joinpath(_DATA).glob("*/*"))
            for number, model in enumerate(models):
                if self.progress:
                    self.progress = replace(self.progress, done=number, pictures=count)
                measured = _measure(model, folder, _DATA, count)
                result = {**facts, **(_summary(measured) if "data" in measured else measured)}
                if left_out and "report" in result:
                    result["left_out"] = [*left_out, *result["left_out"]]
                hits, pictures, *_interval = (
                    result["report"]["accuracy"] if "report" in result else (0, 0)
                )
                Comparison.objects.create(
                    model=model.version, pictures=pictures, hits=hits, result=result
                )


def _write_dataset(folder: Path, since: date | None) -> list[datasets.Class]:
    """Make class folders of the reviewed pictures; those that have one. Raises storage's errors."""
    records = datasets.reviewed(since)
    found, filled = datasets.classes(records), set()
    for one in datasets.pictures(records, found):
        path = folder / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if _place_picture(picture_storage.picture_name(one.sha256), path):
            filled.add(one.folder)
    kept = [one for one in found if one.folder in filled]
    if names := datasets.names_file(kept):
        folder.joinpath(NAMES_FILE).write_text(names, "utf-8")
    return kept


def _leave_out(
    folder: Path, classes: Sequence[datasets.Class], models: Sequence[InstalledModel]
) -> list[_LeftOut]:
    """Delete the class folders whose labels one of ``models`` lacks; which, and who lacks them.

    Otherwise each would be measured on other pictures. Models that cannot be measured at all, or
    know none of the labels, have no say. Raises UsageError when nothing stays.
    """
    data, probe = folder / _DATA, folder / _PROBE
    # One picture of each: which labels a model lacks is what `evaluate` itself says.
    for one in classes:
        probe.joinpath(one.folder).mkdir(parents=True, exist_ok=True)
        picture = next(data.joinpath(one.folder).iterdir())
        probe.joinpath(one.folder, picture.name).symlink_to(picture.resolve())
    if (names := data / NAMES_FILE).exists():
        shutil.copy(names, probe)
    lacking: dict[str, list[str]] = {}
    for model in models:
        measured = _measure(model, folder, _PROBE, len(classes))
        for one in measured.get("data", {}).get("left_out", ()):
            lacking.setdefault(one["label"], []).append(model.name)
    left_out, stay = [], []
    for one in classes:
        if by := lacking.get(one.label.name) or lacking.get(one.folder):
            path = data / one.folder
            left_out.append((one.label.name, sum(1 for _ in path.iterdir()), by))
            shutil.rmtree(path)
        else:
            stay.append(one)
    if not stay:
        problem = Sentence("There is no label that all of these models have.")
        raise UsageError("models", problem, Sentence("Compare others."))
    names.unlink(missing_ok=True)
    if text := datasets.names_file(stay):
        names.write_text(text, "utf-8")
    return left_out


def _place_picture(name: str, path: Path) -> bool:
    """Put the picture at ``path``: a link, or a copy of what is elsewhere. False: it is gone."""
    try:
        source = Path(default_storage.path(name))
    except NotImplementedError:  # S3 has no paths.
        with suppress(FileNotFoundError):
            path.write_bytes(picture_storage.read(name))
        return path.is_file()
    if not source.is_file():
        return False
    path.symlink_to(source)
    return True


def _measure(model: InstalledModel, folder: Path, data: str, count: int) -> dict[str, Any]:
    """What `edge-classify evaluate` says of one model on ``data``, as JSON.

    Or its ``error``: what is wrong and what to do, each as ``to_json`` has it.
    """
    # By the path, as labels may lie beside it; one processor is left to the pages, and an
    # accelerator belongs to the daemon.
    running = ("--threads", "1", "--delegate", "cpu")
    done = child.run(
        "edge_classifier",
        "evaluate",
        str(model.path),
        data,
        "--json",
        "--error-json",
        *running,
        folder=folder,
        time_limit_s=_START_S + _PICTURE_S * count,
    )
    if not done.problem:
        return dict(json.loads(done.output))
    error = child.error_of(done, model.name)
    texts = (
        with_replaced(text, f"{model.path.parent}/", "") for text in (error.problem, error.remedy)
    )
    return {"error": [to_json(text) for text in texts]}


def _summary(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a report: enough for the page, and no more with more pictures."""
    confusion = facts["confusion"]
    counts, elsewhere = confusion["counts"], confusion["any_other_label"]
    total = [sum(row) + more for row, more in zip(counts, elsewhere, strict=True)]
    # The labels with most pictures, in their order.
    kept = sorted(sorted(range(len(total)), key=lambda n: -total[n])[:_MOST_LABELS])
    rows = [[counts[row][column] for column in kept] for row in kept]
    # The wrong answers that were given with the highest scores, and their records.
    wrong = [one for one in facts["pictures"] if one["truth"] and one["truth"] != one["predicted"]]
    worst = sorted(wrong, key=lambda one: -one["score"])[:_MOST_MISTAKES]
    hashes = {Path(one["path"]).stem: one for one in worst}
    shown = Record.objects.filter(picture__sha256__in=hashes, truth__isnull=False)
    keys = dict(shown.order_by("-pk").values_list("picture__sha256", "key"))
    return {
        "report": report_of(facts).as_json(),
        "confusion": {
            "labels": [confusion["labels"][n] for n in kept],
            "counts": rows,
            "elsewhere": [total[n] - sum(row) for n, row in zip(kept, rows, strict=True)],
        },
        "left_out": [[one["label"], one["pictures"], []] for one in facts["data"]["left_out"]],
        "unreadable": len(facts["data"]["unreadable"]),
        "mistakes": [
            {name: one[name] for name in ("truth", "predicted", "score")}
            | {"key": str(keys[sha256])}
            for sha256, one in hashes.items()
            if sha256 in keys
        ],
    }
