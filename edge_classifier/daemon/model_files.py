"""Where models are that may be asked for over MQTT.

What was uploaded to the web page of this machine belongs to another user's service, and is copied
before anything else reads it. The runtime maps the file of the model in use, and trusts what is in
it: changed by somebody else after its trial, it could do anything to the daemon.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_classifier.core.text import is_printable
from edge_classifier.errors import MissingFileError, ModelError, OutputError
from edge_classifier.files import replacing
from edge_classifier.modelfile.catalogue import load_catalogue

UPLOADS_VARIABLE = "EDGE_CLASSIFIER_UPLOADS"
# A file with holes takes no room where it is, and all that there is where it is copied.
LARGEST_BYTES = 1_000_000_000
_SUFFIX = ".tflite"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The catalogue, a folder for whoever has the machine, and uploads."""

    own: Path
    # Of uploads that were asked for.
    copies: Path
    # The page's folder; None: there is no page on this machine.
    uploads: Path | None = None

    @classmethod
    def below(cls, state: Path, environment: Mapping[str, str] = os.environ) -> "ModelFiles":
        """That of the daemon with this state folder."""
        uploads = environment.get(UPLOADS_VARIABLE)
        return cls(state / "models", state / "uploads", Path(uploads) if uploads else None)

    def reference(self, name: str, *, in_use: str = "") -> str:
        """What ``load_model`` takes for the model called ``name``.

        An upload is copied when it is first asked for; earlier copies go, but that of ``in_use``.
        Raises MissingFileError, ModelError and OutputError.
        """
        catalogue = load_catalogue()
        try:
            return catalogue.asked(name, self.own, self.copies)
        except MissingFileError:
            file = f"{name.removesuffix(_SUFFIX)}{_SUFFIX}"
            if self.uploads is None or Path(file).name != file or not is_printable(file):
                raise
            if not self._take(self.uploads / file, {in_use, f"{in_use}{_SUFFIX}"}):
                raise
        return str(self.copies / file)

    def _take(self, upload: Path, kept: set[str]) -> bool:
        """Copy ``upload``; False: it is not there. Raises ModelError and OutputError."""
        try:
            source = _opened(upload)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ModelError(upload.name, f"cannot be read ({error.strerror})") from error
        with source:
            facts = os.fstat(source.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST_BYTES:
                raise ModelError(upload.name, f"is no file of up to {LARGEST_BYTES // 10**6} MB")
            try:
                self._make_room(kept)
                with replacing(self.copies / upload.name) as copy:
                    shutil.copyfileobj(source, copy)
            except OSError as error:
                problem = f"an upload cannot be copied here ({error.strerror})"
                raise OutputError(str(self.copies), problem, "Is the disk full?") from error
        return True

    def _make_room(self, kept: set[str]) -> None:
        self.copies.mkdir(mode=0o700, exist_ok=True)
        for old in self.copies.iterdir():
            if old.name not in kept:
                old.unlink()


def _opened(path: Path) -> BinaryIO:
    """Not through a link, to what the daemon may read and the page may not; nor waiting."""
    extra = os.O_NOFOLLOW | os.O_NONBLOCK
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | extra))
