"""The parts that run beside the pages, for views to find: set once, by the server."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_classifier.web.configuration import Folders
from edge_classifier.web.settings import WebSettings

if TYPE_CHECKING:  # Views may be imported without a broker or a child process about.
    from edge_classifier.web.live.live_view import LiveView
    from edge_classifier.web.maintenance.housekeeping import Housekeeping
    from edge_classifier.web.recorder.recorder import Recorder
    from edge_classifier.web.worker.client import PictureWorker


@dataclass(frozen=True, slots=True)
class Services:
    """What views may use."""

    settings: WebSettings
    places: Folders
    worker: "PictureWorker"
    live: "LiveView | None" = None
    recorder: "Recorder | None" = None
    housekeeping: "Housekeeping | None" = None


_installed: list[Services] = []


def install(parts: Services) -> None:
    """Make ``parts`` those that views get."""
    _installed[:] = [parts]


def parts() -> Services:
    """The parts of this process. Raises RuntimeError before ``install``."""
    if not _installed:
        raise RuntimeError("the page's parts are not there yet")
    return _installed[0]
