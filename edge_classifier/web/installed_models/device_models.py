"""Which model each device and each of its cameras runs, as they tell, for the page of models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_classifier.web.installed_models.store import InstalledModel
from edge_classifier.web.live.camera_list import Selection
from edge_classifier.web.live.live_client import LiveClient

# States of a change that is not over.
UNDER_WAY = ("waiting", "fetching", "trying", "loading")
_DIGITS = 8
# Devices and cameras of one page, each with a choice of all models.
MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class RunningPlace:
    """A device, or one of its cameras, and what it runs."""

    # As forms name it: ``DEVICE``, or ``DEVICE/CAMERA``.
    key: str
    # For people; empty: all cameras of the device that have no model of their own.
    title: str
    # Name and first digits of the hash; empty: it does not tell.
    version: str
    # The same among those that are here.
    installed: InstalledModel | None
    # Of a camera: whether another model is the common one.
    has_own: bool = False

    @property
    def name(self) -> str:
        """Without the digits of the hash."""
        return self.installed.name if self.installed else self.version.partition("@")[0]

    @property
    def digits(self) -> str:
        """The first ones of its hash."""
        return self.version.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class DeviceModelRow:
    """One device."""

    name: str
    # None: it has not told yet.
    online: bool | None
    release: str
    # The device as a whole first, then, if they are several, each camera; or its only camera.
    places: list[RunningPlace]
    # As ``model_change`` of what it tells, while it is under way and once it has failed.
    change: Mapping[str, Any] | None
    # Rules of its settings that name labels which its models do not have.
    resting_rules: Sequence[str]

    @property
    def is_busy(self) -> bool:
        """Whether it is getting another model."""
        return self.change is not None and self.change["state"] in UNDER_WAY


@dataclass(frozen=True, slots=True)
class ShownDevices:
    """One page of the list."""

    rows: list[DeviceModelRow]
    wanted: Selection
    # The number of the first one, from 1; how many there are on all pages.
    first: int
    count: int
    # The pages before and behind; None: there is none.
    previous: Selection | None
    next: Selection | None
    # All devices that have been heard, whatever is asked for.
    heard: int

    @property
    def last(self) -> int:
        """The number of the last one."""
        return self.first + len(self.rows) - 1


def select_devices(rows: Sequence[DeviceModelRow], wanted: Selection) -> ShownDevices:
    """The page that is asked for: words may be in a device's name, a camera's, or a model's.

    Where there are several pages, what is being changed and what failed comes first.
    """
    words = wanted.words.casefold()
    found = []
    for row in rows:
        change = str(row.change["model"]) if row.change else ""
        texts = (text for place in row.places for text in (place.key, place.title, place.version))
        if words in "\n".join((row.name, change, *texts)).casefold():
            found.append(row)
    pages = _pages(found)
    if len(pages) > 1:
        pages = _pages(sorted(found, key=lambda row: row.change is None))
    page = min(wanted.page, len(pages))
    return ShownDevices(
        rows=pages[page - 1],
        wanted=wanted,
        first=1 + sum(map(len, pages[: page - 1])),
        count=len(found),
        previous=Selection(wanted.words, page - 1) if page > 1 else None,
        next=Selection(wanted.words, page + 1) if page < len(pages) else None,
        heard=len(rows),
    )


def _pages(rows: Sequence[DeviceModelRow]) -> list[list[DeviceModelRow]]:
    """At least one, which may be empty; a device is on one page with all its cameras."""
    pages: list[list[DeviceModelRow]] = [[]]
    places = 0
    for row in rows:
        if pages[-1] and places + len(row.places) > MOST_SHOWN:
            pages.append([])
            places = 0
        pages[-1].append(row)
        places += len(row.places)
    return pages


def device_rows(live: LiveClient | None, models: Sequence[InstalledModel]) -> list[DeviceModelRow]:
    """All devices that have been heard of, by their names."""
    if not live:
        return []
    by_digits = {model.sha256[:_DIGITS]: model for model in models}
    rows = []
    for device in filter(None, [live.device(name) for name in live.devices()]):
        name, common = device["name"], device["model"]
        running = []
        for camera in device["cameras"]:
            own = device["settings"].get(camera, {}).get("title", {}).get("value") or camera
            version = (live.camera(name, camera) or {}).get("model") or common
            running.append((f"{name}/{camera}", str(own), version))
        if len(running) == 1:
            running = [(name, *running[0][1:])]
        else:
            running.insert(0, (name, "", common))
        places = [
            RunningPlace(
                key, title, version, by_digits.get(version.rpartition("@")[2]), version != common
            )
            for key, title, version in running
        ]
        change = device["model_change"]
        is_shown = change and (change["state"] == "failed" or change["state"] in UNDER_WAY)
        # A device that went away in the middle of it does nothing more.
        is_told = is_shown and (device["online"] or change["state"] == "failed")
        rows.append(
            DeviceModelRow(
                name,
                device["online"],
                device["version"],
                places,
                change if is_told else None,
                device["resting_rules"],
            )
        )
    return rows
