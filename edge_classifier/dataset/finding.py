"""What a check says: findings, the worst first, and the pictures of each class, counted."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

_SHOWN = 10


class Severity(StrEnum):
    """What a finding means for training."""

    FATAL = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    kind: str
    severity: Severity
    # For people.
    text: str
    # All of them: pictures, or pictures that belong together.
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassCount:
    """The pictures of one class."""

    label: str
    pictures: int
    # In the validation folder.
    validation: int
    unreadable: int
    small: int
    # That are there again, byte by byte: here, in another class or in the validation folder.
    copies: int
    # That look like another one, and are no copy.
    alike: int


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found, the worst first."""

    root: str
    classes: tuple[ClassCount, ...]
    found: tuple[Finding, ...]

    @property
    def fatal(self) -> bool:
        """Whether training cannot start."""
        return any(finding.severity is Severity.FATAL for finding in self.found)

    def lines(self) -> Iterator[str]:
        """For people: each finding with some ten examples."""
        for finding in self.found:
            yield f"{finding.severity}: {finding.text}"
            yield from (f"    {example}" for example in finding.examples[:_SHOWN])
            if len(finding.examples) > _SHOWN:
                yield f"    and {len(finding.examples) - _SHOWN} more"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "fatal": self.fatal}
