"""What the value of a setting must be like; it stands in the field's annotation.

In annotated_types' terms, and pydantic unpacks them as its ``GroupedMetadata``. That library and
what it imports take 1 MB, so it comes when it is asked for: not in the daemon.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Interval:
    """A number between two ends; an end that is None is open."""

    __is_annotated_types_grouped_metadata__: ClassVar = True

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __iter__(self) -> Iterator[object]:
        from annotated_types import Interval as Unpacked

        yield from Unpacked(gt=self.gt, ge=self.ge, lt=self.lt, le=self.le)


@dataclass(frozen=True, slots=True)
class Len:
    """A text or a list of so many parts, both ends included."""

    __is_annotated_types_grouped_metadata__: ClassVar = True

    least: int
    most: int

    def __iter__(self) -> Iterator[object]:
        from annotated_types import Len as Unpacked

        yield from Unpacked(self.least, self.most)


@dataclass(frozen=True, slots=True)
class Predicate:
    """What ``is_allowed`` says of a value; it may raise ValueError with what is wrong."""

    __is_annotated_types_grouped_metadata__: ClassVar = True

    is_allowed: Callable[[Any], bool]

    def __iter__(self) -> Iterator[object]:
        from annotated_types import Predicate as Unpacked

        yield Unpacked(self.is_allowed)
