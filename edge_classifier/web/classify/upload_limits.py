"""Limits on the size of requests and of the files in them, enforced while they arrive."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import SkipFile, TemporaryFileUploadHandler

from edge_classifier.errors import OutputError
from edge_classifier.web.config.settings import UploadSettings

_MEGA = 1_000_000
MODEL_PATH = "/models/upload"
# Of a lesson, whose key is in the middle: pictures, and a model that was trained elsewhere.
_LESSON_PATH = re.compile(r"/teach/[0-9a-f-]{36}/(?:pictures/add|(upload))")
_MODEL_PATHS = (MODEL_PATH, "/api/v1/models")
UPLOAD_PATHS = ("/classify", "/api/v1/classify", *_MODEL_PATHS)
# Bytes of the first line and the headers of a request, and of a form without files: each several
# times what browsers send. The address of a page of a thousand results takes 39 kB.
HEADER_BYTES, FORM_BYTES = 65_536, 200_000


def takes_files(path: str) -> bool:
    """Whether a large request may go to ``path``."""
    return path in UPLOAD_PATHS or _LESSON_PATH.fullmatch(path) is not None


def request_limit(uploads: UploadSettings) -> int:
    """Bytes of the largest request that is read: pictures or a model, and the form around it."""
    return int((max(uploads.request_max_mb, uploads.model_max_mb) + 1) * _MEGA)


def file_limit(uploads: UploadSettings, path: str) -> int:
    """Bytes of the largest file that is taken at ``path``."""
    of_lesson = _LESSON_PATH.fullmatch(path)
    is_model = path in _MODEL_PATHS or (of_lesson is not None and of_lesson[1] is not None)
    return int((uploads.model_max_mb if is_model else uploads.max_mb) * _MEGA)


class UploadLimitHandler(TemporaryFileUploadHandler):
    """Writes each file to ``scratch`` under a name of our own, up to its limit.

    A file that is too large is left out, and its name put into the list ``request.too_large``,
    which is missing where no file is; the rest of the form is kept. Raises OutputError on a full
    disk.
    """

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        """One more file begins. Django would name the one on disk with the end of its name."""
        with self._writing():
            super().new_file(field_name, "upload", *args, **kwargs)
        self._given_name = file_name
        self._limit = file_limit(self.request.services.settings.uploads, self.request.path_info)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write what fits. ``start`` is the offset in this file."""
        if start + len(raw_data) > self._limit:
            self.request.too_large = [*getattr(self.request, "too_large", []), self._given_name]
            raise SkipFile
        with self._writing():
            super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile:
        """The file, by the name that its sender gave: for messages only."""
        with self._writing():
            file = super().file_complete(file_size)
        file.name = self._given_name
        return file

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raises OutputError, and leaves no file, where the disk is full."""
        try:
            yield
        except OSError as error:
            if file := getattr(self, "file", None):
                with suppress(OSError):
                    file.close()
            problem = f"cannot be kept ({error.strerror})"
            raise OutputError("uploads", problem, "Make room on the disk.") from error
