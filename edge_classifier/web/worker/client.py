"""The parent's side of the child process."""

from pathlib import Path

from edge_classifier.web.settings import Classify, Uploads
from edge_classifier.web.worker.results import Classified, ModelFacts


class Worker:
    """Runs one task at a time in a child process, started when wanted and ended when idle.

    Every method may be called from any thread, waits its turn, and raises PictureError or
    ModelError for what is wrong with the file, UnavailableError when the child crashed, took too
    long, or the queue is full.
    """

    def __init__(self, classify: Classify, uploads: Uploads, models: Path) -> None:
        """``models``: the folder in which models are found by name."""
        raise NotImplementedError

    def classify(self, picture: Path, model: str = "") -> Classified:
        """Decode, re-encode and classify the file at ``picture``."""
        raise NotImplementedError

    def thumbnail(self, jpeg: bytes) -> bytes:
        """A JPEG of at most 320 pixels, made without loading a model."""
        raise NotImplementedError

    def model(self, path: Path) -> ModelFacts:
        """Try a model file and describe it. Raises ModelError, ContractError."""
        raise NotImplementedError

    def close(self) -> None:
        """End the child."""
