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
from edge_classifier.web.worker.messages import Message


class Scored(NamedTuple):
    """One label of the answer."""

    label: str
    chinese: str
    """Its Chinese name; empty where the model has none."""
    score: float


class Crop(NamedTuple):
    """The part of the picture that the model saw, in fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Classified:
    """One picture: decoded, made anew from its pixels alone, and classified."""

    jpeg: bytes
    """Upright, at most ``uploads.keep_px`` on the long side."""
    thumbnail: bytes
    """The same as a JPEG of at most 320 pixels."""
    width: int
    height: int
    label: str
    """The best label, or ``unknown`` below ``classify.threshold``."""
    top: tuple[Scored, ...]
    """Best first, those below the threshold too, without those that score nothing; at least one."""
    crop: Crop
    timings_ms: dict[str, float]
    """``decode``, ``preprocess``, ``inference``, ``encode``."""
    model: str
    """Name and first digits of the file's SHA-256, as daemons tell it: ``name@21331c65``."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model that has been run once."""

    name: str
    sha256: str
    size: int
    labels: tuple[str, ...]
    chinese: tuple[str, ...]
    """One name a label, or none at all."""
    width: int
    height: int
    card: str
    """Markdown; empty if there is none."""
    notes: tuple[str, ...]


def classified_to(result: Classified) -> Message:
    """``result`` as it goes over the pipe."""
    facts = asdict(result)
    return Message({"facts": facts}, (facts.pop("jpeg"), facts.pop("thumbnail")))


def classified_from(message: Message) -> Classified:
    """The result in ``message``."""
    facts = dict(message.header["facts"])
    jpeg, thumbnail = message.parts
    top = tuple(Scored(*scored) for scored in facts.pop("top"))
    return Classified(jpeg, thumbnail, top=top, crop=Crop(*facts.pop("crop")), **facts)


def model_to(result: ModelFacts) -> Message:
    """``result`` as it goes over the pipe."""
    return Message({"facts": asdict(result)})


def model_from(message: Message) -> ModelFacts:
    """The result in ``message``; JSON has made lists of its tuples."""
    facts: dict[str, Any] = dict(message.header["facts"])
    for name in ("labels", "chinese", "notes"):
        facts[name] = tuple(facts[name])
    return ModelFacts(**facts)


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
