"""Fetched models on disk, each in a folder called by its SHA-256: whole and tried, or not there.

fetched/SHA256/NAME.tflite   a model
fetched/SHA256/tried         the runtime and delegate that it was tried with
fetched/.part-SHA256         what has come of one
"""

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from edge_classifier.core.text import is_printable
from edge_classifier.engine.memory import require_memory
from edge_classifier.errors import EdgeClassifierError, ModelError, UsageError
from edge_classifier.files import cannot_write, make_folder, sync_folder, write_whole
from edge_classifier.modelfile.model_zip import is_zip
from edge_classifier.picture_trial import trial_key, try_on_pictures

_log = logging.getLogger(__name__)

SUFFIX = ".tflite"
_TRIED = "tried"
_PART = ".part-"
_HASH = re.compile("[0-9a-f]{64}")
# Of a name, so that there is room for what is put around it.
_MOST_NAME_BYTES = 200
# Parts of downloads that were cut off.
_MOST_PARTS = 2

# Raises ModelError for a model that does not work with a delegate; see ``try_on_pictures``.
Try = Callable[[Path, str], None]


class FetchedModels:
    """The folder. For any thread; ``install`` and ``prune`` for one at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        try_model: Try = try_on_pictures,
        key_of: Callable[[str], str] = trial_key,
    ) -> None:
        """``key_of``: what a verdict holds for, by the delegate that is wanted."""
        self._folder = folder
        self._try, self._key_of = try_model, key_of

    def folders(self) -> list[Path]:
        """Of all models, the one that was used last first."""
        with suppress(OSError):
            found = [path for path in self._folder.iterdir() if _HASH.fullmatch(path.name)]
            return sorted(found, key=_used_at, reverse=True)
        return []

    def find(self, sha256: str) -> Path | None:
        """The file of a model; None: it is not here."""
        with suppress(OSError):
            return next(iter(sorted((self._folder / sha256).glob(f"*{SUFFIX}"))), None)
        return None

    def hash_of(self, file: str) -> str:
        """By which a model's file is kept here; empty: it is none of these."""
        folder = Path(file).parent
        return folder.name if folder.parent == self._folder else ""

    def part(self, sha256: str) -> Path:
        """Where a download of it goes, and what is there of it. Earlier ones of others go."""
        mine = self._folder / f"{_PART}{sha256}"
        with suppress(OSError):
            parts = sorted(self._folder.glob(f"{_PART}*"), key=_used_at, reverse=True)
            for path in [one for one in parts if one != mine][_MOST_PARTS - 1 :]:
                path.unlink()
        return mine

    def install(self, sha256: str, name: str, delegate: str) -> Path:
        """Try what was downloaded and verified, and keep it as ``name``.

        What does not work is thrown away. Raises ModelError, UsageError, UnavailableError and
        OutputError.
        """
        stem = require_file_name(name)
        new = self._folder / f".new-{sha256}"
        try:
            with suppress(FileNotFoundError):
                shutil.rmtree(new)
            make_folder(new, 0o700)
            file = (self._folder / f"{_PART}{sha256}").rename(new / f"{stem}{SUFFIX}")
            try:
                if is_zip(file):
                    # It would be unpacked elsewhere, and what is in it has another hash.
                    problem = (
                        "is a zip and no model; upload it to a page, which takes the model out"
                    )
                    raise ModelError(file.name, problem)
                # Its trial takes as much, and the kernel may not ask whose fault it is.
                require_memory(file, 0)
                self._try(file, delegate)
            except EdgeClassifierError:
                shutil.rmtree(new)
                raise
            file.chmod(0o600)
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
            sync_folder(file.parent)
            write_whole(new / _TRIED, self._key_of(delegate))
            # Without its file, or it would have been found.
            shutil.rmtree(self._folder / sha256, ignore_errors=True)
            new.rename(self._folder / sha256)
            sync_folder(self._folder)
        except OSError as error:
            raise cannot_write(self._folder, error, "Is the disk full?") from error
        return self._folder / sha256 / file.name

    def use(self, sha256: str, delegate: str) -> Path | None:
        """The file of a model that is to be loaded now; None: it is not here.

        It is tried again where runtime or delegate are others than they were. Raises ModelError.
        """
        file = self.find(sha256)
        if file is None:
            return None
        key = self._key_of(delegate)
        verdict, known = file.with_name(_TRIED), ""
        with suppress(OSError):
            known = verdict.read_text("utf-8", "replace")
        if known != key:
            self._try(file, delegate)
            write_whole(verdict, key)
        with suppress(OSError):
            os.utime(file.parent)
        return file

    def prune(self, keep: int, keep_bytes: int, protected: Iterable[str]) -> None:
        """Let the models go that were used longest ago, but not ``protected`` ones (SHA-256).

        What cannot be removed stays, and costs its room and nothing else.
        """
        spared = set(protected)
        count = total = 0
        for folder in self.folders():
            size = sum(path.stat().st_size for path in folder.glob(f"*{SUFFIX}"))
            count, total = count + 1, total + size
            if (count > keep or total > keep_bytes) and folder.name not in spared:
                going = self._folder / f".gone-{folder.name}"
                try:
                    # In one step: half a folder would look like a model without its file.
                    folder.rename(going)
                except OSError as error:
                    _log.warning("%s cannot be removed (%s)", folder, error.strerror)
                    continue
                shutil.rmtree(going, ignore_errors=True)
                count, total = count - 1, total - size

    def sweep(self) -> None:
        """Remove what a kill has left of an installation or a removal."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name.startswith((".new-", ".gone-")):
                    shutil.rmtree(path, ignore_errors=True)


def require_file_name(name: str) -> str:
    """What a file of ``name`` is called, without its suffix. Raises UsageError for no such name."""
    stem = name.removesuffix(SUFFIX)
    is_short = 0 < len(stem.encode("utf-8", "replace")) <= _MOST_NAME_BYTES
    if not is_short or not is_printable(stem) or "/" in stem or stem.startswith("."):
        raise UsageError(repr(name), "is no name for a model's file")
    return stem


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
