"""A zip with one .tflite and its label file, as Teachable Machine exports it, taken as it is.

It becomes one file: the model, with the labels in the zip that is appended to it.
"""

import errno
import os
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ModelError, OutputError
from edge_classifier.modelfile.bundle import (
    LABELS_FILE,
    MEMBER_LIMIT_BYTES,
    TAXONOMY_FILE,
    append_bundle,
    open_zip,
    read_bundle,
)
from edge_classifier.modelfile.catalogue import cache_folder, sha256_of
from edge_classifier.modelfile.label_sources import COMMON_NAMES, SUFFIXES
from edge_classifier.modelfile.taxonomy_sources import TAXONOMY_ENDINGS

LARGEST_MODEL_BYTES = 512_000_000
_MODEL_SUFFIX = ".tflite"
# Weights hardly shrink: a model a hundred times as large as its zip is none.
_MOST_TIMES = 100
_MOST_MEMBERS = 1000
# Of the flags of a member.
_ENCRYPTED = 1
_BLOCK_BYTES = 1 << 20
# Unpacked models that are kept; one takes as much room as its zip.
_KEPT = 3
_REMEDY = Sentence("Unpack it yourself, and name the .tflite in it.")


def is_zip(path: Path) -> bool:
    """Whether the file begins as a zip does; a model with labels inside begins as a model."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError:
        return False


def model_file(path: Path) -> Path:
    """``path``, or what is in it if it is a zip, unpacked into a folder of this program's.

    Raises ModelError for a zip that does not hold one model, and OutputError when there is no
    place for it.
    """
    if not is_zip(path):
        return path
    import tempfile  # Here, because few models are zips.

    sha256 = sha256_of(path)
    roots = [cache_folder()]
    # A service need not have a home.
    if state := os.environ.get("STATE_DIRECTORY"):
        roots.append(Path(state.split(":")[0]))
    problem = ""
    for root in roots:
        made = root / "unpacked" / sha256[:16] / f"{path.stem}{_MODEL_SUFFIX}"
        try:
            if not made.is_file():
                made.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=made.parent, prefix=".new-") as beside:
                    new = Path(beside, made.name)
                    unpack_model(path, new)
                    new.replace(made)
                _forget_old(root / "unpacked", made.parent)
            return made
        except OSError as error:
            problem = Sentence(
                "cannot be unpacked to {folder} ({cause})",
                folder=str(made.parent),
                cause=error.strerror,
            )
    raise OutputError(str(path), problem, _REMEDY)


def _forget_old(folder: Path, latest: Path) -> None:
    """Keep the newest of the unpacked models; one that is in use is so without its name, too."""
    import shutil

    with suppress(OSError):
        others = [path for path in folder.iterdir() if path != latest]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[_KEPT - 1 :]:
            shutil.rmtree(path, ignore_errors=True)


def unpack_model(archive: Path, target: Path) -> None:
    """Write the one model that is in ``archive``, with its labels inside, to ``target``.

    No name in the zip becomes a path. Raises ModelError for any other zip, OSError when ``target``
    cannot be written.
    """
    try:
        with open_zip(archive) as opened:
            members = _members(archive, opened)
            model = _only(archive, members, _MODEL_SUFFIX)
            label_file = _label_file(archive, members, model)
            limit = min(LARGEST_MODEL_BYTES, _MOST_TIMES * archive.stat().st_size)
            if model.file_size > limit:
                problem = Sentence(
                    "{name} in it would have {size} bytes",
                    name=model.filename,
                    size=model.file_size,
                )
                raise ModelError(str(archive), problem)
            with opened.open(model) as source, target.open("wb") as file:
                left = model.file_size
                while left > 0 and (block := source.read(min(left, _BLOCK_BYTES))):
                    file.write(block)
                    left -= len(block)
            labels = _read_text(archive, opened, label_file)
            taxonomy = _read_text(archive, opened, _taxonomy_file(archive, members))
        with target.open("rb") as file:
            if file.read(8)[4:] != b"TFL3":
                problem = Sentence("the .tflite in it is not a TFLite model")
                raise ModelError(str(archive), problem, _REMEDY)
        inside = read_bundle(target)
        if taxonomy and TAXONOMY_FILE not in inside:
            append_bundle(target, {TAXONOMY_FILE: taxonomy})
        if labels and not any(name.endswith(SUFFIXES) for name in inside):
            append_bundle(target, {LABELS_FILE: labels})
    except ModelError:
        raise
    except OSError as error:
        if error.errno == errno.EINVAL:
            # An offset in the zip points before its beginning.
            raise ModelError(str(archive), Sentence("the zip is damaged"), _REMEDY) from error
        raise
    except Exception as error:  # BadZipFile, zlib.error, struct.error, an encrypted member ...
        problem = Sentence("the zip is damaged ({cause})", cause=str(error))
        raise ModelError(str(archive), problem, _REMEDY) from error


def _members(archive: Path, opened: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """What is in the zip but folders and what file managers add."""
    members = opened.infolist()
    if len(members) > _MOST_MEMBERS:
        problem = Sentence("holds {count} files, and not one model", count=len(members))
        raise ModelError(str(archive), problem)
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise ModelError(str(archive), Sentence("is protected by a password"), _REMEDY)
    return [
        member
        for member in members
        if not member.is_dir()
        and not member.filename.startswith("__MACOSX/")
        and not PurePosixPath(member.filename).name.startswith(".")
    ]


def _only(archive: Path, members: list[zipfile.ZipInfo], suffix: str) -> zipfile.ZipInfo:
    found = [member for member in members if member.filename.lower().endswith(suffix)]
    if len(found) != 1:
        names = ", ".join(member.filename for member in found[:5])
        problem = (
            Sentence("holds {names}; one .tflite is needed", names=names)
            if found
            else Sentence("holds no .tflite; one .tflite is needed")
        )
        raise ModelError(str(archive), problem, _REMEDY)
    return found[0]


def _label_file(
    archive: Path, members: list[zipfile.ZipInfo], model: zipfile.ZipInfo
) -> zipfile.ZipInfo | None:
    """The label file: one of a usual name, or else the only text there is."""
    stem = PurePosixPath(model.filename).stem.lower()
    texts = {
        member: PurePosixPath(member.filename).name.lower()
        for member in members
        if member.filename.lower().endswith(SUFFIXES)
    }
    if contract := next((m for m, name in texts.items() if name.endswith("contract.json")), None):
        problem = Sentence(
            "holds a contract, {name}, which is not read from a zip", name=contract.filename
        )
        raise ModelError(str(archive), problem, _REMEDY)
    known = [m for m, name in texts.items() if name in COMMON_NAMES or name.startswith(stem)]
    found = known or list(texts)
    if len(found) > 1:
        names = ", ".join(member.filename for member in found[:5])
        problem = Sentence("holds several label files: {names}", names=names)
        raise ModelError(str(archive), problem, _REMEDY)
    return found[0] if found else None


def _taxonomy_file(archive: Path, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo | None:
    """``taxonomy.tsv``, also behind a model's name."""
    found = [member for member in members if member.filename.lower().endswith(TAXONOMY_ENDINGS)]
    if len(found) > 1:
        names = ", ".join(member.filename for member in found[:5])
        problem = Sentence("holds several taxonomies: {names}", names=names)
        raise ModelError(str(archive), problem, _REMEDY)
    return found[0] if found else None


def _read_text(archive: Path, opened: zipfile.ZipFile, member: zipfile.ZipInfo | None) -> bytes:
    """What is in ``member``, if there is one."""
    if member is None:
        return b""
    if member.file_size > MEMBER_LIMIT_BYTES:
        problem = Sentence(
            "{name} in it is too large to be labels or a taxonomy", name=member.filename
        )
        raise ModelError(str(archive), problem)
    with opened.open(member) as file:
        return file.read(MEMBER_LIMIT_BYTES)
