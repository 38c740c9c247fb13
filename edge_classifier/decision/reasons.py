"""Why a frame changed nothing, or that it did."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Reason(StrEnum):
    """What became of a frame: each has exactly one.

    ``decision.step`` gives the first five; the others are of frames that were not classified.
    """

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    BELOW_THRESHOLD = "below_threshold"
    MARGIN = "margin"
    DWELL = "dwell"
    GATED = "gated"
    DISABLED = "disabled"
    QUIET_HOURS = "quiet_hours"

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]


_MEANINGS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.CHANGED: "another label was published",
        Reason.UNCHANGED: "the best label is the one that is published already",
        Reason.BELOW_THRESHOLD: "the best label's score is below what it needs to enter",
        Reason.MARGIN: "the best label is not far enough ahead of the runner-up",
        Reason.DWELL: "a new label, or the lack of any, has not lasted long enough",
        Reason.GATED: "nothing moved since the last classified frame",
        Reason.DISABLED: "the camera is switched off",
        Reason.QUIET_HOURS: "it is one of the camera's quiet hours",
    }
)
