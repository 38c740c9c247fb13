"""Devices that a roll-out is for, as the page hears of them, on a clock of the test's own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from edge_classifier.web.models import Rollout, RolloutDevice, User
from edge_classifier.web.rollouts.begin import Plan, begin
from edge_classifier.web.rollouts.driver import RolloutDriver

START = datetime(2026, 11, 29, 12, tzinfo=UTC)
NEW = hashlib.sha256(b"new").hexdigest()
OLD = hashlib.sha256(b"old").hexdigest()
CAMERAS = ("front", "yard")
NEW_VERSION, OLD_VERSION = f"garden@{NEW[:8]}", f"birds@{OLD[:8]}"


@dataclass
class Device:
    """One daemon, as it tells of itself."""

    name: str
    online: bool = True
    model: str = OLD_VERSION
    # Whether it takes the new model: else what it says.
    refusal: str = ""
    # Whether nothing comes of what it is asked for.
    is_slow: bool = False
    change: dict[str, Any] | None = None
    # The SHA-256 that it tells on as the latest one; None: it is too old to.
    offered: str | None = ""
    booted: datetime = START - timedelta(hours=5)
    ms: Mapping[str, float] = field(default_factory=lambda: {OLD_VERSION: 10.0, NEW_VERSION: 11.0})
    asked: list[Mapping[str, str]] = field(default_factory=list)
    # Those that run another model than the common one.
    own: dict[str, str] = field(default_factory=dict)
    # Its last statistics: when they were sent, and the uptime then.
    stats: tuple[datetime, float] = (START, 0.0)

    def take(self, body: Mapping[str, str]) -> None:
        self.asked.append(body)
        if self.is_slow:
            return
        if body.get("sha256") == NEW:
            state = "failed" if self.refusal else "running"
            self.change = {
                "model": "garden",
                "sha256": NEW,
                "camera": body.get("camera", ""),
                "state": state,
                "share": None,
                "error": self.refusal,
            }
            if not self.refusal:
                self._run(body, NEW_VERSION)
        elif "camera" in body and not body["model"]:
            self.own.pop(body["camera"], None)
        else:
            self._run(body, OLD_VERSION)

    def _run(self, body: Mapping[str, str], model: str) -> None:
        if "camera" in body:
            self.own[body["camera"]] = model
        else:
            self.model = model


class Fleet:
    """In the place of ``LiveClient``; and a clock."""

    bursts = None

    def __init__(self, *names: str) -> None:
        self.now = START
        self.all = {name: Device(name) for name in names}
        self.broker = {"connected": True, "since": 0.0}
        # The newest event that was heard of each camera, recorded or not.
        self.heard: dict[tuple[str, str], str] = {}
        # What people call cameras, by device and camera.
        self.titles: dict[tuple[str, str], str] = {}

    def __getitem__(self, name: str) -> Device:
        return self.all[name]

    def devices(self) -> list[str]:
        return sorted(self.all)

    def device(self, name: str) -> dict[str, Any] | None:
        one = self.all.get(name)
        if one is None:
            return None
        models = dict.fromkeys((one.model, *one.own.values()))
        told = self.now.replace(second=self.now.second // 30 * 30)
        if told != one.stats[0] or not one.stats[1]:
            one.stats = told, (self.now - one.booted).total_seconds()
        return {
            "name": name,
            "online": one.online,
            "cameras": list(CAMERAS),
            "model": one.model,
            "models": list(models),
            "camera_models": {**dict.fromkeys(CAMERAS, one.model), **one.own},
            "model_change": one.change,
            "model_offered": one.offered,
            "uptime_s": one.stats[1],
            "stats_at": told.timestamp(),
            "inference_ms": {model: one.ms[model] for model in models},
        }

    def title(self, device: str, camera: str) -> str:
        return self.titles.get((device, camera), camera)

    def camera(self, device: str, name: str) -> dict[str, Any] | None:
        return {"event": self.heard.get((device, name), "")}

    def tell(self, device: str, command: str, body: Mapping[str, str]) -> bool:
        if self[device].online and command == "offer":
            self[device].offered = body.get("sha256", "")
        elif self[device].online:
            self[device].take(body)
        return self[device].online


class Rolling:
    """A roll-out, and its driver."""

    def __init__(self, fleet: Fleet, plan: Plan, *names: str) -> None:
        self.fleet, self.names = fleet, names or tuple(fleet.devices())
        self.driver = self.started_again()
        model: Any = SimpleNamespace(name="garden", sha256=NEW)
        who, _ = User.objects.get_or_create(username="ann")
        self.rollout = begin(model, self.names, plan, who, fleet.now)

    def started_again(self) -> RolloutDriver:
        """What a page that was started again has."""
        live: Any = self.fleet
        models: Any = SimpleNamespace(installed=list)
        worker: Any = None
        self.driver = RolloutDriver(live, models, worker, now=lambda: self.fleet.now)
        return self.driver

    def turns(self, minutes: float, step_s: float = 10) -> "Rolling":
        for _ in range(max(1, round(minutes * 60 / step_s))):
            self.driver.turn()
            self.fleet.now += timedelta(seconds=step_s)
        self.rollout.refresh_from_db()
        return self

    def row(self, device: str) -> RolloutDevice:
        return self.rollout.devices.get(device=device)

    @property
    def states(self) -> dict[str, str]:
        return {row.device: str(row.state) for row in self.rollout.devices.all()}

    @property
    def record(self) -> list[tuple[str, str]]:
        """Kind and device of each line."""
        return list(self.rollout.entries.values_list("kind", "device"))

    def is_over(self) -> bool:
        return self.rollout.state not in Rollout.OPEN
