"""A model's file from the one place that settings name: resumed, and never longer than allowed.

The address is made of that place and the SHA-256 alone, and no answer sends anywhere else. What has
come is kept in a file beside the others, so that a cut costs what was under way, and nothing more.
"""

import http.client
import logging
import re
import shutil
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edge_classifier.config.secrets import read_secret
from edge_classifier.config.settings import ModelSourceSettings
from edge_classifier.core.network.unreachable import why_unreachable
from edge_classifier.errors import ConfigurationError, DownloadError, OutputError
from edge_classifier.files import cannot_write
from edge_classifier.http_connection import Deadline, ask
from edge_classifier.modelfile.catalogue import sha256_of
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

CREDENTIAL = "models-token"
_CHUNK = 1 << 16
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
# Of the disk, for events: they are worth more than a model.
_RESERVE_BYTES = 50_000_000
# A server that has no place now; these come again.
_LATER = (429, 500, 502, 503, 504)
_REFUSED = (401, 403)
# The content type of the page's own refusals.
_PROBLEM = "application/problem+json"

# Called with bytes so far and in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """How long things may take."""

    # For a connection, and for the next byte.
    stall_s: float = 60.0
    # Without any byte, over all attempts.
    patience_s: float = 600.0
    # For all of it; what has come until then is kept for the next time.
    total_s: float = 3600.0
    # Between two attempts: from the first, doubled up to the other.
    pause_s: float = 1.0
    most_pause_s: float = 30.0


class _InterruptedError(Exception):
    """Nothing more comes now; the text says why. ``wait_s``: what the server asks for."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _StaleError(Exception):
    """What has come earlier is no beginning of the file."""


class ModelDownload:
    """One file, by its SHA-256. For one thread."""

    def __init__(
        self,
        source: ModelSourceSettings,
        sha256: str,
        part: Path,
        *,
        progress: Progress = lambda *_: None,
        limits: DownloadLimits = DownloadLimits(),
        clock: Clock = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """``part``: what has come, now and earlier. ``is_wanted``: whether to go on."""
        self._source, self._sha256, self._part = source, sha256, part
        self._host = urlsplit(source.source).hostname or source.source
        self._progress, self._limits = progress, limits
        self._clock, self._sleep, self._is_wanted = clock, sleep, is_wanted
        # When a byte came last.
        self._fed_at = 0.0

    def run(self) -> None:
        """Fetch it, and compare its hash. Raises DownloadError, ConfigurationError, OutputError."""
        until = self._clock() + self._limits.total_s
        had_part = self._size() > 0
        self._fetch(until)
        if sha256_of(self._part) != self._sha256 and had_part:
            # A power cut may have left anything in what was there before.
            self._forget()
            self._fetch(until)
        if sha256_of(self._part) != self._sha256:
            self._forget()
            problem = "sent another file than was asked for (SHA-256 differs); it was thrown away"
            raise DownloadError(self._host, problem)

    def try_source(self) -> None:
        """Ask once for a model that nobody has, and be told just that by a page.

        Raises DownloadError and ConfigurationError for what would keep this device from fetching.
        """
        try:
            answer, _ = self._ask(self._clock() + self._limits.stall_s)
        except _InterruptedError as error:
            raise self._failed(str(error)) from error
        with answer:
            if answer.status != http.client.NOT_FOUND:
                refusal = self._refusal(answer.status, "")
                is_told = isinstance(refusal, DownloadError)
                raise refusal if is_told else self._failed(str(refusal))
            if answer.headers.get_content_type() != _PROBLEM:
                problem = "something else than the page of edge-classifier answers"
                raise self._failed(problem, "models.source names the page, and no folder of it.")

    def _fetch(self, until: float) -> None:
        self._fed_at = self._clock()
        pause_s = self._limits.pause_s
        while True:
            before = self._size()
            try:
                self._receive(until)
            except _StaleError:
                self._forget()
                if not before:
                    raise self._failed("answers what makes no sense") from None
            except _InterruptedError as error:
                if self._size() > before:
                    pause_s = self._limits.pause_s
                wait_s = max(pause_s, min(error.wait_s, 60.0))
                if self._clock() + wait_s >= min(until, self._fed_at + self._limits.patience_s):
                    kept = f"; {self._size()} bytes are kept" if self._size() else ""
                    remedy = "Ask for the model again to go on."
                    raise self._failed(f"{error}{kept}", remedy) from error
                _log.info("model %s: %s; again in %.0f s", self._sha256[:8], error, wait_s)
                self._sleep(wait_s)
                pause_s = min(2 * pause_s, self._limits.most_pause_s)
            except OSError as error:
                raise cannot_write(self._part, error, "Is the disk full?") from error
            else:
                return

    def _receive(self, until: float) -> None:
        """One attempt. Raises OSError for the disk alone."""
        answer, deadline = self._ask(until)
        with answer:
            begin, total = self._check(answer)
            folder = next(one for one in self._part.parents if one.is_dir())
            free = shutil.disk_usage(folder).free
            if total - begin + _RESERVE_BYTES > free:
                problem = f"a model of {total - begin} more bytes does not fit: {free} are free"
                raise OutputError(str(folder), problem, "Delete something there.")
            self._part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._part.open("ab" if begin else "wb") as file:
                while begin < total:
                    self._allow(deadline, until)
                    try:
                        chunk = answer.read1(_CHUNK)
                    except (OSError, http.client.HTTPException) as error:
                        raise _InterruptedError(why_unreachable(error, self._host)) from error
                    if not chunk:
                        raise _InterruptedError(f"the connection to {self._host} ended too early")
                    file.write(chunk)
                    begin += len(chunk)
                    self._fed_at = self._clock()
                    self._progress(begin, total)

    def _ask(self, until: float) -> tuple[http.client.HTTPResponse, Deadline]:
        token = read_secret(self._source.token_file, CREDENTIAL)
        headers = {"Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        if have := self._size():
            headers |= {"Range": f"bytes={have}-", "If-Range": f'"{self._sha256}"'}
        url = f"{self._source.source.rstrip('/')}/api/v1/models/{self._sha256}"
        context = None
        if url.startswith("https:"):
            # A small machine takes a while to read all authorities, and the server is not to blame.
            try:
                context = ssl.create_default_context(cafile=self._source.ca_file)
            except OSError as error:
                problem = f"cannot be used ({error.strerror or error})"
                raise ConfigurationError("models.ca_file", problem) from error
        deadline = Deadline(self._clock)
        self._allow(deadline, until)
        try:
            return ask(url, deadline, headers, context), deadline
        except ssl.SSLCertVerificationError as error:
            remedy = "models.ca_file names the authority that signed it."
            raise self._failed(why_unreachable(error, self._host), remedy) from error
        except (OSError, http.client.HTTPException) as error:
            raise _InterruptedError(why_unreachable(error, self._host)) from error

    def _check(self, answer: http.client.HTTPResponse) -> tuple[int, int]:
        """Where in the file the answer's body begins, and the file's size, by its head."""
        status, have = answer.status, self._size()
        if status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            if answer.headers.get("Content-Range", "") == f"bytes */{have}":
                # It was all there.
                return have, have
            raise _StaleError
        if status not in (http.client.OK, http.client.PARTIAL_CONTENT):
            raise self._refusal(status, answer.headers.get("Retry-After", ""))
        length = answer.headers.get("Content-Length", "")
        if not (length.isdecimal() and len(length) < 16):
            raise self._failed("does not say how large the model is")
        begin, total = 0, int(length)
        if status == http.client.PARTIAL_CONTENT:
            found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if not found or int(found[1]) != have or int(found[2]) + 1 != int(found[3]):
                raise _StaleError
            begin, total = have, int(found[3])
        if not 0 < total <= self._source.max_mb * 1_000_000:
            limit = f"more than models.max_mb allows ({self._source.max_mb} MB)"
            raise self._failed(f"announces {total} bytes, {limit}" if total else "sends nothing")
        return begin, total

    def _refusal(self, status: int, after: str) -> Exception:
        if status in _LATER:
            wait_s = float(after) if after.isdecimal() and len(after) < 6 else 0.0
            return _InterruptedError(f"{self._host} answers {status}, and may later", wait_s)
        said = f"(HTTP status {status})"
        if status in _REFUSED:
            remedy = "The page makes a device's token; models.token_file names its file."
            return self._failed(f"refuses this device's token {said}", remedy)
        if status == http.client.NOT_FOUND:
            return self._failed(f"has no such model {said}")
        if 300 <= status < 400:
            return self._failed(f"sends on to another place {said}, which is not followed")
        return self._failed(f"gives no model {said}")

    def _allow(self, deadline: Deadline, until: float) -> None:
        if not self._is_wanted():
            raise self._failed("is asked for nothing more: this model is not wanted now")
        deadline.allow(max(0.0, min(self._limits.stall_s, until - self._clock())))

    def _size(self) -> int:
        try:
            return self._part.stat().st_size
        except OSError:
            return 0

    def _forget(self) -> None:
        with suppress(FileNotFoundError):
            self._part.unlink()

    def _failed(self, problem: str, remedy: str = "") -> DownloadError:
        return DownloadError(self._host, problem.removeprefix(f"{self._host} "), remedy)
