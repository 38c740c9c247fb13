"""What is too old or too much is deleted, in a thread of its own."""

from edge_classifier.web.configuration import Places
from edge_classifier.web.settings import Retention


class Housekeeping:
    """Applies the retention once an hour."""

    def __init__(self, retention: Retention, places: Places) -> None:
        self._retention = retention
        self._places = places

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""
