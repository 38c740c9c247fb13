"""The body of a request as a file on disk."""

from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.http import HttpRequest

from edge_classifier.web.classify.upload_limits import file_limit

_CHUNK_BYTES = 65536


def body_file(request: HttpRequest) -> UploadedFile | None:
    """Like the files of a form, and with their limits; None: it is too large."""
    most = file_limit(request.services.settings.uploads, request.path_info)
    file = TemporaryUploadedFile("body", request.content_type, 0, None)
    while chunk := request.read(_CHUNK_BYTES):
        file.size += len(chunk)
        if file.size > most:
            file.close()
            return None
        file.write(chunk)
    file.flush()
    return file
