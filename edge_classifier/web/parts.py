"""The parts that run beside the pages, for views to find: set once, by the server."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_classifier.web.configuration import Places
from edge_classifier.web.settings import Settings

if TYPE_CHECKING:  # Views may be imported without a broker or a child process about.
    from edge_classifier.web.housekeeping import Housekeeping
    from edge_classifier.web.live.live import Live
    from edge_classifier.web.recorder.recorder import Recorder
    from edge_classifier.web.worker.client import Worker


@dataclass(frozen=True, slots=True)
class Parts:
    """What views may use."""

    settings: Settings
    places: Places
    worker: "Worker"
    live: "Live | None" = None
    recorder: "Recorder | None" = None
    housekeeping: "Housekeeping | None" = None


_installed: list[Parts] = []


def install(parts: Parts) -> None:
    """Make ``parts`` those that views get."""
    _installed[:] = [parts]


def parts() -> Parts:
    """The parts of this process. Raises RuntimeError before ``install``."""
    if not _installed:
        raise RuntimeError("the page's parts are not there yet")
    return _installed[0]
