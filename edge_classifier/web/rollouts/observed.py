"""What a device told last, as far as a roll-out asks for it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

# States of a change that is not over.
UNDER_WAY = ("waiting", "fetching", "trying", "loading")


@dataclass(frozen=True, slots=True)
class Observed:
    """One device now."""

    is_online: bool
    # The camera that is meant; empty: all that have no model of their own.
    camera: str
    # What it runs, ``name@21331c65``; empty: not told. And the common one.
    model: str
    common: str
    # As docs/mqtt.md has ``model_change``; None: there was none since its start.
    change: Mapping[str, Any] | None
    # Of its last statistics: when they came, and the seconds since its start.
    told_at: datetime | None
    uptime_s: float | None
    # Median time of each model.
    inference_ms: Mapping[str, float]

    @classmethod
    def of(cls, device: Mapping[str, Any] | None, camera: str = "") -> Self:
        """From ``LiveClient.device``; None: nothing was heard of it."""
        found = device or {}
        common = found.get("model", "")
        at = found.get("stats_at")
        return cls(
            is_online=bool(found.get("online")),
            camera=camera,
            model=found.get("camera_models", {}).get(camera, common),
            common=common,
            change=found.get("model_change"),
            told_at=None if at is None else datetime.fromtimestamp(at, UTC),
            uptime_s=found.get("uptime_s"),
            inference_ms=found.get("inference_ms") or {},
        )

    def runs(self, sha256: str) -> bool:
        """Whether it runs the file, under whatever name."""
        return self.model.endswith(f"@{sha256[:8]}")

    def time_of(self, sha256: str) -> float | None:
        """The median time of the file's network."""
        digits = f"@{sha256[:8]}"
        return next((ms for one, ms in self.inference_ms.items() if one.endswith(digits)), None)

    def change_to(self, sha256: str, former: Any = None) -> Mapping[str, Any]:
        """The change to the file; empty: there is none, or it is the ``former`` one."""
        change = self.change
        meant = sha256, self.camera
        if not change or (change.get("sha256"), change.get("camera", "")) != meant:
            return {}
        return {} if dict(change) == former else change

    def is_changing_to(self, sha256: str) -> bool:
        """Whether a change to the file is under way."""
        return self.change_to(sha256).get("state") in UNDER_WAY
