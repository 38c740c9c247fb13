"""Fetches catalogue models: verified, then put in place in one step."""

from collections.abc import Callable
from pathlib import Path

from edge_classifier.errors import DownloadError
from edge_classifier.modelfile.catalogue import Catalogue, Entry, sha256_of

# Called with bytes so far and bytes in all (0: unknown).
Progress = Callable[[int, int], None]


def pull(catalogue: Catalogue, entry: Entry, progress: Progress) -> Path:
    """Fetch one model and return its file; one that is already there and whole is kept.

    An interrupted download leaves no file under the model's name, so it just starts again.
    Raises DownloadError.
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
            downloader=pooch.HTTPDownloader(progressbar=_Bar(progress), timeout=30),
        )
    except ValueError as error:
        raise DownloadError(
            entry.name,
            f"what {entry.url} sent is not the file that was promised (SHA-256 differs)",
            "Try again later; the file was thrown away.",
        ) from error
    except (requests.RequestException, OSError) as error:
        # pooch leaves the connection of an answer like 503 open until the garbage is collected.
        if isinstance(error, requests.RequestException) and error.response is not None:
            error.response.close()
        reason = _innermost_cause(error)
        by_hand = (
            f"Without a network, fetch {entry.url} elsewhere and put it at {target}, "
            f"then run: edge-classify models verify {entry.name}"
        )
        raise DownloadError(entry.name, f"cannot be fetched ({reason})", by_hand) from error
    installed = Path(path)
    installed.chmod(0o644)  # A model is not a secret, and a service may run as another user.
    return installed


def _innermost_cause(error: BaseException) -> str:
    """It says more than the layers around it.

    A function of its own: kept in a variable of the caller, the error would keep the frame that
    keeps it, and the connection in it open.
    """
    while inner := error.__cause__ or error.__context__:
        error = inner
    return f"{type(error).__name__}: {str(error)[:150]}"


class _Bar:
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
