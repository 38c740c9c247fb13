"""The daemon's capture store copied into class folders, for people to look through."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.text import folder_name, is_printable
from edge_classifier.dataset.folder import UNSURE
from edge_classifier.errors import MissingFileError, OutputError
from edge_classifier.files import replacing

# The store's lines: one JSON object a picture, with ``file``, ``label`` and ``why``.
INDEX = "pictures.jsonl"
# In the folder that is filled: the names of all pictures that it ever got.
DONE = ".sorted"
_REMEDY = "Free some room, or choose another folder; what was copied stays, and is not done again."


@dataclass(frozen=True, slots=True)
class Sorted:
    """What became of the store's pictures."""

    # Class folder to number of new pictures.
    copied: Mapping[str, int]
    # Pictures that an earlier run had copied, wherever they are now.
    known: int
    # Pictures with a line and no file: the store had dropped them.
    gone: int


def sort_store(store: Path, out: Path) -> Sorted:
    """Copy each picture of ``store`` into ``out/LABEL``, by the label that the daemon saw.

    Pictures it was not sure of, or saw as unknown, go to ``out/unsure``, which is not a class.
    Nothing is overwritten; a picture that was copied once, and was moved or deleted since, does
    not come back. Raises MissingFileError where there is no store, and OutputError.
    """
    lines = _read_index(store)
    try:
        out.mkdir(parents=True, exist_ok=True)
        known = {name for _, _, names in os.walk(out) for name in names}
        if (out / DONE).exists():
            known |= set((out / DONE).read_text("utf-8").splitlines())
        copied: Counter[str] = Counter()
        gone = 0
        new = {_name(line): line for line in lines if _name(line) not in known}
        for name, line in new.items():
            folder, label = UNSURE, line.get("label")
            if isinstance(label, str) and line.get("why") != "uncertain" and label != UNKNOWN:
                # A label comes from a model, and may hold what a folder's name must not.
                folder = folder_name(label) or UNSURE
            if _copy(store / line["file"], out / folder / name):
                copied[folder] += 1
            else:
                gone += 1
        with replacing(out / DONE) as file:
            file.writelines(f"{name}\n".encode() for name in sorted(known | new.keys()))
    except OSError as error:
        raise OutputError(str(out), f"cannot be written ({error.strerror})", _REMEDY) from error
    return Sorted(dict(sorted(copied.items())), len(lines) - len(new), gone)


def _read_index(store: Path) -> list[dict[str, Any]]:
    """The store's lines that are whole and name a picture inside of it, each picture once."""
    try:
        text = (store / INDEX).read_text("utf-8", errors="replace")
    except FileNotFoundError as error:
        inner = store / "pictures"
        remedy = f"Name {inner}." if (inner / INDEX).exists() else "Name the capture store."
        raise MissingFileError(str(store), f"there is no {INDEX} in it", remedy) from error
    except OSError as error:
        raise MissingFileError(str(store), f"cannot be read ({error.strerror})") from error
    lines = {}
    for text_line in text.splitlines():
        try:
            line = json.loads(text_line)
        except ValueError:
            # It was cut off, or written by somebody else.
            continue
        file = line.get("file") if isinstance(line, dict) else None
        if not isinstance(file, str) or not is_printable(file):
            continue
        path = Path(file)
        if len(path.parts) == 2 and ".." not in path.parts and not path.is_absolute():
            lines[file] = line
    return list(lines.values())


def _name(line: Mapping[str, Any]) -> str:
    """``CAMERA-STAMP-HASH.jpg``: no other picture is ever called so."""
    return "-".join(Path(line["file"]).parts)


def _copy(source: Path, target: Path) -> bool:
    """Whether it is there, whole; the store may have dropped it meanwhile."""
    if not source.is_file():
        return False
    target.parent.mkdir(exist_ok=True)
    try:
        with source.open("rb") as picture, replacing(target) as copy:
            shutil.copyfileobj(picture, copy)
    except FileNotFoundError:
        return False
    return True
