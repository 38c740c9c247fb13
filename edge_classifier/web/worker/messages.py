"""What the page and its child process send each other: tasks, their results, and errors.

Both sides import this. Over the pipe goes a header in JSON, then bytes:

4 bytes   length of the header, big-endian
header    a JSON object; its ``sizes`` are the lengths of what follows
bytes     one part after the other
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

from edge_classifier.core.sentence import from_json, to_json
from edge_classifier.errors import (
    ContractError,
    EdgeClassifierError,
    MissingFileError,
    ModelError,
    PictureError,
    UnavailableError,
)

_LENGTH = struct.Struct(">I")
_HEADER_LIMIT = 32_000_000
# Bytes; a child that a picture has taken over must not fill the page's memory.
_PARTS_LIMIT = 256_000_000


class Message(NamedTuple):
    """One question or answer."""

    header: dict[str, Any]
    parts: tuple[bytes, ...] = ()


def send(stream: BinaryIO, message: Message) -> None:
    """Write ``message`` as a whole. Raises OSError when nobody listens any more."""
    sizes = [len(part) for part in message.parts]
    header = json.dumps({**message.header, "sizes": sizes}).encode()
    stream.writelines((_LENGTH.pack(len(header)), header, *message.parts))
    stream.flush()


def receive(stream: BinaryIO) -> Message:
    """Read one message.

    Raises EOFError when the other side has gone, ValueError for what is not a message.
    """
    (length,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    if length > _HEADER_LIMIT:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(_read(stream, length))
    sizes = header.pop("sizes", None) if isinstance(header, dict) else None
    if not isinstance(sizes, list) or not all(isinstance(s, int) and s >= 0 for s in sizes):
        raise ValueError("a header without sizes")
    if sum(sizes) > _PARTS_LIMIT:
        raise ValueError(f"{sum(sizes)} bytes")
    return Message(header, tuple(_read(stream, size) for size in sizes))


def _read(stream: Any, size: int) -> bytes:
    found: bytes = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found


# Long side of a thumbnail: sharp at 112 CSS pixels on a phone.
THUMBNAIL_PX = 320
# Grey values in a row and a column of a signature.
SIGNATURE_SIDE = 16


class CropBox(NamedTuple):
    """A part of a picture, in fractions of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class ClassifyTask:
    """Decode, make anew and classify the file ``picture``."""

    picture: str
    # A name that somebody chose; empty: ``configured``.
    model: str
    # What the settings say: a name, or a path, which only settings may give.
    configured: str
    # The folder of models.
    models: str
    top_k: int
    threshold: float
    pixel_limit: int
    keep_px: int


@dataclass(frozen=True, slots=True)
class ThumbnailTask:
    """Shrink the JPEG that is the message's only part."""

    pixel_limit: int


@dataclass(frozen=True, slots=True)
class DescribeTask:
    """Try the model file ``model``, and say what it is."""

    model: str


# Bits of a picture's code.
CODE_BITS = 2048


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """Say what a JPEG, the message's only part, looks like: a code of ``CODE_BITS`` bits."""

    # The network whose features it is made of: a name of the catalogue.
    base: str
    pixel_limit: int
    # The part to look at; None: as a classifier would.
    box: CropBox | None


@dataclass(frozen=True, slots=True)
class RemakeTask:
    """Decode the file ``picture``, or the message's only part, and make it anew."""

    # Empty: the message's part.
    picture: str
    pixel_limit: int
    keep_px: int
    # What is kept of it; None: all.
    box: CropBox | None


@dataclass(frozen=True, slots=True)
class ScoreTask:
    """Say what the model file ``model`` takes the JPEG for that is the message's only part."""

    model: str
    top_k: int
    pixel_limit: int


Task = ClassifyTask | ThumbnailTask | DescribeTask | EncodeTask | RemakeTask | ScoreTask
_TASKS: Mapping[str, type[Task]] = MappingProxyType(
    {
        "classify": ClassifyTask,
        "thumbnail": ThumbnailTask,
        "describe": DescribeTask,
        "encode": EncodeTask,
        "remake": RemakeTask,
        "score": ScoreTask,
    }
)
_NAMES = MappingProxyType({task: name for name, task in _TASKS.items()})


def task_to_message(task: Task, *parts: bytes) -> Message:
    """``task`` as it goes over the pipe."""
    return Message({"task": _NAMES[type(task)], "facts": asdict(task)}, parts)


def task_from_message(message: Message) -> Task:
    """The task in ``message``."""
    facts = dict(message.header["facts"])
    if facts.get("box"):  # JSON has made a list of it.
        facts["box"] = CropBox(*facts["box"])
    return _TASKS[message.header["task"]](**facts)


class LabelScore(NamedTuple):
    """One label of the answer."""

    label: str
    # Its Chinese name; empty where the model has none.
    chinese: str
    score: float


@dataclass(frozen=True, slots=True)
class Classified:
    """One picture: decoded, made anew from its pixels alone, and classified."""

    # Upright, at most ``uploads.keep_px`` on the long side.
    jpeg: bytes
    # The same as a JPEG of at most 320 pixels.
    thumbnail: bytes
    width: int
    height: int
    # The best label; below ``classify.threshold`` the most specific name above labels that reaches
    # it, or ``unknown``.
    label: str
    # ``label`` first if it is a name above others; then labels, best first, those below the
    # threshold too, without those that score nothing; at least one.
    top: tuple[LabelScore, ...]
    crop: CropBox
    # ``decode``, ``preprocess``, ``inference``, ``encode``.
    timings_ms: dict[str, float]
    # Name and first digits of the file's SHA-256, as daemons tell it: ``name@21331c65``.
    model: str


@dataclass(frozen=True, slots=True)
class Remade:
    """One picture, made anew from its pixels alone."""

    # Upright, at most ``keep_px`` on the long side.
    jpeg: bytes
    # The same as a JPEG of at most 320 pixels.
    thumbnail: bytes
    # 16 x 16 grey values, row by row, each the mean of its part of the picture.
    signature: bytes
    width: int
    height: int


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


def classified_to_message(result: Classified) -> Message:
    """``result`` as it goes over the pipe."""
    facts = asdict(result)
    return Message({"facts": facts}, (facts.pop("jpeg"), facts.pop("thumbnail")))


def classified_from_message(message: Message) -> Classified:
    """The result in ``message``."""
    facts = dict(message.header["facts"])
    jpeg, thumbnail = message.parts
    top = tuple(LabelScore(*scored) for scored in facts.pop("top"))
    return Classified(jpeg, thumbnail, top=top, crop=CropBox(*facts.pop("crop")), **facts)


def remade_to_message(result: Remade) -> Message:
    """``result`` as it goes over the pipe."""
    facts = {"width": result.width, "height": result.height}
    return Message({"facts": facts}, (result.jpeg, result.thumbnail, result.signature))


def remade_from_message(message: Message) -> Remade:
    """The result in ``message``."""
    jpeg, thumbnail, signature = message.parts
    return Remade(jpeg, thumbnail, signature, **message.header["facts"])


def scores_to_message(scores: tuple[LabelScore, ...]) -> Message:
    """``scores`` as they go over the pipe."""
    return Message({"scores": scores})


def scores_from_message(message: Message) -> tuple[LabelScore, ...]:
    """The scores in ``message``; JSON has made lists of them."""
    return tuple(LabelScore(*one) for one in message.header["scores"])


def model_to_message(result: ModelDescription) -> Message:
    """``result`` as it goes over the pipe."""
    notes = [to_json(note) for note in result.notes]
    return Message({"facts": asdict(result) | {"notes": notes}})


def model_from_message(message: Message) -> ModelDescription:
    """The result in ``message``; JSON has made lists of its tuples."""
    facts: dict[str, Any] = dict(message.header["facts"])
    for name in ("labels", "chinese"):
        facts[name] = tuple(facts[name])
    return ModelDescription(**facts | {"notes": tuple(map(from_json, facts["notes"]))})


_ERRORS: dict[str, type[EdgeClassifierError]] = {
    kind.__name__: kind for kind in (PictureError, ModelError, MissingFileError, ContractError)
}


def error_to_message(error: EdgeClassifierError) -> Message:
    """``error`` as it goes over the pipe; a kind of one that is known, as that one."""
    kinds = (kind.__name__ for kind in type(error).__mro__)
    kind = next((kind for kind in kinds if kind in _ERRORS), type(error).__name__)
    return Message({"error": [kind, error.subject, to_json(error.problem), to_json(error.remedy)]})


def error_from_message(message: Message) -> EdgeClassifierError | None:
    """The error in ``message``, if that is what it is."""
    if "error" not in message.header:
        return None
    kind, *texts = message.header["error"]
    return _ERRORS.get(kind, UnavailableError)(*map(from_json, texts))
