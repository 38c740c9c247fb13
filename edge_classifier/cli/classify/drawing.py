"""Where ``--annotate`` and ``--contact-sheet`` write, checked before any work is done."""

import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from edge_classifier.batch import BatchItem
from edge_classifier.cli.classify.inputs import is_address
from edge_classifier.cli.common import print_notes
from edge_classifier.core.contract import Contract
from edge_classifier.core.geometry import place
from edge_classifier.errors import OutputError, UsageError
from edge_classifier.files import device_and_inode, is_folder
from edge_classifier.vision import draw
from edge_classifier.vision.pictures import STANDARD_INPUT, load_picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class Drawing:
    """The pictures that one run draws; made before the model is loaded.

    Raises UsageError for targets that cannot be meant, such as a picture that is being classified,
    and OutputError for folders that cannot be written.
    """

    def __init__(self, options: Namespace, references: Sequence[str]) -> None:
        self._sheet_path: Path | None = options.contact_sheet
        self._targets = _targets(options.annotate, references)
        self._pixel_limit = options.max_megapixels * 1_000_000
        _require_safe([*self._targets, *filter(None, [self._sheet_path])], references)
        self._sheet = draw.ContactSheet(len(references)) if self._sheet_path else None
        if self._sheet and len(references) > draw.SHEET_LIMIT:
            print_notes([f"the contact sheet shows the first {draw.SHEET_LIMIT} pictures only"])

    def add(self, outcome: BatchItem, contract: Contract) -> None:
        """Draw one outcome; they come in the order of the references. Raises OutputError."""
        found, picture = outcome.classification, outcome.picture
        target = self._targets.pop(0) if self._targets else None
        if self._sheet:
            best = found.predictions[0] if found else None
            caption = f"{best.score:.2f} {best.label}" if best else "not readable"
            frame = picture.frame if picture else None
            self._sheet.add(frame, Path(outcome.reference).name, caption)
        if target and found and picture:
            # At its full size; what was classified may have been decoded at an eighth.
            if outcome.reference != STANDARD_INPUT and not is_address(outcome.reference):
                picture = load_picture(outcome.reference, pixel_limit=self._pixel_limit)
            frame = picture.frame
            seen = place(frame.width, frame.height, contract).source
            draw.save(draw.annotate(frame, found.predictions, seen), target)

    def close(self) -> None:
        """Write the sheet. Raises OutputError."""
        if self._sheet and self._sheet_path:
            draw.save(self._sheet.render(), self._sheet_path)


def _targets(annotate: Path | None, references: Sequence[str]) -> list[Path]:
    """OUT itself for one picture; for several, a name in the folder OUT for each."""
    if annotate is None:
        return []
    if len(references) == 1 and not is_folder(annotate):
        return [annotate]
    if annotate.suffix.lower() in SUFFIXES and not is_folder(annotate):
        raise UsageError(
            str(annotate), f"is one file, for {len(references)} pictures", "Name a folder."
        )
    try:
        annotate.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(str(annotate), f"cannot be made ({error.strerror})") from error
    taken: set[str] = set()
    targets = []
    for reference in references:
        stem = "stdin" if reference == STANDARD_INPUT else Path(reference).stem
        number, name = 1, f"{stem}.jpg"
        while name in taken:
            number += 1
            name = f"{stem}-{number}.jpg"
        taken.add(name)
        targets.append(annotate / name)
    return targets


def _require_safe(targets: Sequence[Path], references: Sequence[str]) -> None:
    """No target is a picture that is read, or another target, and each can be written."""
    read = {device_and_inode(Path(reference)) for reference in references} - {None}
    for target in targets:
        if target.suffix.lower() not in SUFFIXES:
            known = ", ".join(SUFFIXES)
            raise UsageError(str(target), "has no known picture suffix", f"Use one of {known}.")
        if device_and_inode(target) in read:
            raise UsageError(
                str(target), "would overwrite a picture that is classified", "Name another place."
            )
    if len({target.resolve() for target in targets}) < len(targets):
        raise UsageError(str(targets[-1]), "is to be written twice", "Name another place.")
    for folder in {target.parent for target in targets}:
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise OutputError(str(folder), f"cannot be written ({error.strerror})") from error
