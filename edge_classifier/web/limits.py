"""The size of uploads, judged while they arrive."""

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, StopUpload

from edge_classifier.web.parts import parts
from edge_classifier.web.settings import Uploads

_MEGA = 1_000_000
MODEL_PATH = "/models/upload"


def request_limit(uploads: Uploads) -> int:
    """Bytes of the largest request that is read at all: pictures or a model, with its wrapping."""
    return int((max(uploads.request_max_mb, uploads.model_max_mb) + 1) * _MEGA)


def file_limit(uploads: Uploads, path: str) -> int:
    """Bytes of the largest file that is taken at ``path``."""
    return int((uploads.model_max_mb if path == MODEL_PATH else uploads.max_mb) * _MEGA)


class Limit(FileUploadHandler):
    """Ends a request at the first byte too many: ``request.too_large`` tells the view.

    Fields of a form that come before its files, the CSRF token above all, are there then.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """One more file begins."""
        super().new_file(*args, **kwargs)
        self._limit = file_limit(parts().settings.uploads, self.request.path)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass on what fits. ``start`` is the offset in this file."""
        if start + len(raw_data) > self._limit:
            self.request.too_large = True
            raise StopUpload(connection_reset=True)
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the next handler."""
