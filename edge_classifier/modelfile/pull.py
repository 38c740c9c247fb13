"""Fetches catalogue models: verified, then put in place in one step."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from edge_classifier.core.network.unreachable import why_unreachable
from edge_classifier.errors import DownloadError
from edge_classifier.files import cannot_write
from edge_classifier.modelfile.catalogue import MODELS_VARIABLE, Catalogue, Entry, sha256_of

# Called with bytes so far and bytes in all (0: unknown).
Progress = Callable[[int, int], None]


def pull(catalogue: Catalogue, entry: Entry, progress: Progress) -> Path:
    """Fetch one model and return its file; one that is already there and whole is kept.

    An interrupted download leaves no file under the model's name, so it just starts again.
    Raises DownloadError, and OutputError where the file cannot be kept.
    """
    target = catalogue.file(entry)
    if catalogue.has(entry) and sha256_of(target) == entry.sha256:
        return target
    if not entry.offered or not entry.url:
        problem = "is embedded and damaged" if entry.embedded else "is not offered"
        raise DownloadError(entry.name, problem, catalogue.how_to_get(entry))
    import pooch  # Here, because requests takes longer to import than a picture to classify.
    import requests

    pooch.get_logger().setLevel("WARNING")
    try:
        path = pooch.retrieve(
            entry.url,
            known_hash=f"sha256:{entry.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(progressbar=_PoochBar(progress), timeout=30),
        )
    except ValueError as error:
        raise DownloadError(
            entry.name,
            f"what {entry.url} sent is not the file that was promised (SHA-256 differs)",
            "Try again later; the file was thrown away.",
        ) from error
    except requests.RequestException as error:
        # pooch leaves the connection of an answer like 503 open until the garbage is collected.
        if error.response is not None:
            error.response.close()
        by_hand = (
            f"Without a network, fetch {entry.url} elsewhere and put it at {target}, "
            f"then run: edge-classify models verify {entry.name}"
        )
        reason = _what_failed(error, urlsplit(entry.url).hostname or entry.url)
        raise DownloadError(entry.name, f"cannot be fetched: {reason}", by_hand) from error
    except OSError as error:
        # pooch puts a PermissionError in words of its own before the system's.
        cause = (
            error if error.strerror or not isinstance(error.__cause__, OSError) else error.__cause__
        )
        raise cannot_write(target, cause, f"${MODELS_VARIABLE} names another folder") from error
    installed = Path(path)
    installed.chmod(0o644)  # A model is not a secret, and a service may run as another user.
    return installed


def _what_failed(error: BaseException, host: str) -> str:
    import requests

    if isinstance(error, requests.HTTPError):
        return f"{host} answers {error.response.status_code} {error.response.reason}".rstrip()
    if isinstance(error, requests.Timeout):
        return f"{host} does not answer in time"
    if isinstance(error, requests.TooManyRedirects):
        return f"{host} sends from one address to the next"
    return why_unreachable(error, host)


class _PoochBar:
    """What pooch asks of a progress bar (its documentation, "Using custom progress bars")."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self.total = 0

    def update(self, count: int) -> None:
        self._done += count
        self._progress(self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing to close: the caller owns what it draws on."""
