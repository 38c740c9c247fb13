"""What the child process answers."""

from dataclasses import dataclass
from typing import NamedTuple


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
    """One picture: decoded, made anew without EXIF, and classified."""

    jpeg: bytes
    """sRGB, upright, at most ``uploads.keep_px`` on the long side."""
    width: int
    height: int
    thumbnail: bytes
    """The same as a JPEG of at most 320 pixels."""
    label: str
    """The best label, or ``unknown`` below ``classify.threshold``."""
    top: tuple[Scored, ...]
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
