"""What the child process is asked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from edge_classifier.web.worker.protocol import Message

# Long side of a thumbnail: sharp at 112 CSS pixels on a phone.
THUMBNAIL_PX = 320


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


Task = ClassifyTask | ThumbnailTask | DescribeTask
_TASKS: Mapping[str, type[Task]] = MappingProxyType(
    {"classify": ClassifyTask, "thumbnail": ThumbnailTask, "describe": DescribeTask}
)
_NAMES = MappingProxyType({task: name for name, task in _TASKS.items()})


def to_message(task: Task, *parts: bytes) -> Message:
    """``task`` as it goes over the pipe."""
    return Message({"task": _NAMES[type(task)], "facts": asdict(task)}, parts)


def from_message(message: Message) -> Task:
    """The task in ``message``."""
    return _TASKS[message.header["task"]](**message.header["facts"])
