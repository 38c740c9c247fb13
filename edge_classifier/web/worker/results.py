"""What the child process answers."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from edge_classifier.errors import (
    ContractError,
    EdgeClassifierError,
    MissingFileError,
    ModelError,
    PictureError,
    UnavailableError,
)
from edge_classifier.web.worker.protocol import Message


class LabelScore(NamedTuple):
    """One label of the answer."""

    label: str
    # Its Chinese name; empty where the model has none.
    chinese: str
    score: float


class CropBox(NamedTuple):
    """The part of the picture that the model saw, in fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Classified:
    """One picture: decoded, made anew from its pixels alone, and classified."""

    # Upright, at most ``uploads.keep_px`` on the long side.
    jpeg: bytes
    # The same as a JPEG of at most 320 pixels.
    thumbnail: bytes
    width: int
    height: int
    # The best label, or ``unknown`` below ``classify.threshold``.
    label: str
    # Best first, those below the threshold too, without those that score nothing; at least one.
    top: tuple[LabelScore, ...]
    crop: CropBox
    # ``decode``, ``preprocess``, ``inference``, ``encode``.
    timings_ms: dict[str, float]
    # Name and first digits of the file's SHA-256, as daemons tell it: ``name@21331c65``.
    model: str


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """One model that has been run once."""

    name: str
    sha256: str
    size: int
    labels: tuple[str, ...]
    # One name a label, or none at all.
    chinese: tuple[str, ...]
    width: int
    height: int
    # Markdown; empty if there is none.
    card: str
    notes: tuple[str, ...]


def classified_to(result: Classified) -> Message:
    """``result`` as it goes over the pipe."""
    facts = asdict(result)
    return Message({"facts": facts}, (facts.pop("jpeg"), facts.pop("thumbnail")))


def classified_from(message: Message) -> Classified:
    """The result in ``message``."""
    facts = dict(message.header["facts"])
    jpeg, thumbnail = message.parts
    top = tuple(LabelScore(*scored) for scored in facts.pop("top"))
    return Classified(jpeg, thumbnail, top=top, crop=CropBox(*facts.pop("crop")), **facts)


def model_to(result: ModelDescription) -> Message:
    """``result`` as it goes over the pipe."""
    return Message({"facts": asdict(result)})


def model_from(message: Message) -> ModelDescription:
    """The result in ``message``; JSON has made lists of its tuples."""
    facts: dict[str, Any] = dict(message.header["facts"])
    for name in ("labels", "chinese", "notes"):
        facts[name] = tuple(facts[name])
    return ModelDescription(**facts)


_ERRORS: dict[str, type[EdgeClassifierError]] = {
    kind.__name__: kind for kind in (PictureError, ModelError, MissingFileError, ContractError)
}


def error_to(error: EdgeClassifierError) -> Message:
    """``error`` as it goes over the pipe."""
    return Message({"error": [type(error).__name__, error.subject, error.problem, error.remedy]})


def error_from(message: Message) -> EdgeClassifierError | None:
    """The error in ``message``, if that is what it is."""
    if "error" not in message.header:
        return None
    kind, *texts = message.header["error"]
    return _ERRORS.get(kind, UnavailableError)(*texts)
