"""Pictures behind an address: fetched with limits, and told of without secrets."""

import http.client
import re
import time
from urllib.parse import urlsplit

from edge_classifier.capture.video_file import SUFFIXES as VIDEO_SUFFIXES
from edge_classifier.core.network.camera_address import HIDDEN, address_of, mask, scheme_of
from edge_classifier.core.network.unreachable import why_unreachable
from edge_classifier.errors import DownloadError, PictureError, UsageError
from edge_classifier.http_connection import (
    Deadline,
    RedirectionError,
    TooLargeError,
    get,
    read_whole,
)

# Of one picture: many times what a camera or a web page has.
MOST_BYTES = 50_000_000
# For all of it, from the first connection to the last byte, redirections included.
TIME_LIMIT_S = 30.0
_FILE_NAME = re.compile(r"/([\w-]{1,80}\.[A-Za-z]{2,4})", re.ASCII)


def require_web_address(address: str) -> None:
    """Raise UsageError for what no picture is fetched from, such as ``ftp://`` and ``rtsp://``."""
    if scheme_of(address) not in ("http", "https"):
        remedy = "For a stream: edge-classify watch ADDRESS"
        raise UsageError(mask(address), "pictures come from http:// and https://", remedy)
    try:
        parts = urlsplit(address_of(address))
        names_host = parts.hostname and parts.port != 0
    except ValueError:
        names_host = False
    if not names_host:
        raise UsageError(mask(address), "names no host", "http://HOST:PORT/PICTURE is expected.")


def shown_address(address: str) -> str:
    """``address`` as anybody may see it: as a camera's is shown, with the name of a file."""
    masked, path = mask(address), urlsplit(address_of(address)).path
    name = _FILE_NAME.fullmatch(path[path.rfind("/") :])
    before, hidden, rest = masked.rpartition(f"/{HIDDEN}")
    # What is hidden last is the name, unless a question mark came behind.
    return f"{before}/{name[1]}{rest}" if name and hidden and rest in ("", f"?{HIDDEN}") else masked


def fetch(address: str, *, time_limit_s: float = TIME_LIMIT_S) -> bytes:
    """The bytes of a picture. Raises DownloadError, and PictureError for what is none."""
    shown, host = shown_address(address), urlsplit(mask(address)).hostname or "the server"
    deadline = Deadline(time.monotonic)
    deadline.allow(time_limit_s)
    try:
        answer = get(address_of(address), deadline, check_certificates=True)
        with answer:
            if answer.status != http.client.OK:
                raise DownloadError(shown, f"{host} answers with HTTP status {answer.status}")
            # Small cameras say nothing of what they send, which email's rules take for text.
            kind = answer.headers.get_content_type() if answer.headers["Content-Type"] else ""
            if kind.startswith(("text/", "multipart/", "video/")):
                raise PictureError(shown, f"is {kind}, and no picture", _remedy(kind))
            return read_whole(answer, MOST_BYTES)
    except TooLargeError as error:
        raise PictureError(shown, f"is larger than {MOST_BYTES // 1_000_000} MB") from error
    except TimeoutError as error:
        problem = f"{host} did not send it within {time_limit_s:g} s"
        raise DownloadError(shown, problem, "Fetch it by hand, and name the file.") from error
    except RedirectionError as error:
        raise DownloadError(shown, f"cannot be fetched: {host} {error}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = why_unreachable(error, host)
        raise DownloadError(shown, f"cannot be fetched: {reason}") from error


def _remedy(kind: str) -> str:
    if kind.startswith("video/"):
        return f"Fetch it, and name the file ({', '.join(sorted(VIDEO_SUFFIXES))})."
    if kind.startswith("multipart/"):
        return "It is a camera's stream: edge-classify watch ADDRESS"
    return "Name the address of the picture itself, not of the page that shows it."
