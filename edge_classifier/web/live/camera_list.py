"""Which cameras one live page shows: those that fit its words, and so many at a time."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

# A number that two to six columns divide.
MOST_SHOWN = 60
_LONGEST = 200
# Shapes that pictures have: live.css has a class for each.
_SHAPES = {"16x9": 16 / 9, "4x3": 4 / 3, "1x1": 1.0, "3x4": 3 / 4, "9x16": 9 / 16}
_USUAL_SHAPE = "4x3"


class CameraOutline(NamedTuple):
    """One camera, with the number of its last change."""

    name: str
    version: int
    # What it shows now, and that in the device's language.
    label: str
    label_name: str
    # What people call it; its name where they call it nothing.
    title: str = ""
    # Whether it, or its device, has said so.
    is_offline: bool = False
    # Width and height of its last picture in pixels; None: there is none.
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """Which devices and cameras there are, by name, with the numbers of their last changes."""

    version: int
    # The change with which a device or a camera last came or went.
    order: int
    devices: tuple[tuple[str, int, tuple[CameraOutline, ...]], ...]

    @property
    def cameras(self) -> list[tuple[str, CameraOutline]]:
        """All, each with its device, by name; whoever is offline last, so never chosen first."""
        found = [(device, one) for device, _, cameras in self.devices for one in cameras]
        return sorted(found, key=lambda place: place[1].is_offline)


# A device and its camera.
Place = tuple[str, CameraOutline]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a page's address asks for."""

    # In the name of the device or camera, or in the label; empty: all.
    words: str = ""
    # Which part of the list, from 1; too large a number is the last one.
    page: int = 1
    # ``DEVICE/CAMERA``: that one alone, with all that is known of it.
    only: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Selection":
        """What the parameters ``q``, ``page`` and ``only`` say."""
        words, page, only = (query.get(key, "")[:_LONGEST] for key in ("q", "page", "only"))
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1
        return cls(words.strip(), max(1, number), only)

    @property
    def query(self) -> str:
        """The parameters again, with ``?``; empty without any."""
        page = str(self.page) if self.page > 1 else ""
        parameters = {"q": self.words, "page": page, "only": self.only}
        given = {key: value for key, value in parameters.items() if value}
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class ShownCameras:
    """One page of the list, whoever is offline last."""

    places: tuple[Place, ...]
    # Devices of these, and on the first page those that have no camera yet; by name.
    devices: tuple[str, ...]
    # The number of the first one, from 1; how many there are on all pages.
    first: int
    count: int
    # The pages before and behind; None: there is none.
    previous: Selection | None
    next: Selection | None
    # All devices that have been heard, whatever is asked for.
    heard: int
    # The shape that most of the pictures have, by its name in ``live.css``.
    shape: str

    @property
    def last(self) -> int:
        """The number of the last one."""
        return self.first + len(self.places) - 1

    @property
    def layout(self) -> tuple[object, ...]:
        """What stands where: while it is the same, only what has changed is drawn."""
        names = tuple((device, camera.name, camera.is_offline) for device, camera in self.places)
        return names, self.devices, self.first, self.count, self.next, self.heard, self.shape


def select(
    outline: Outline, wanted: Selection, label_of: Callable[[CameraOutline], str]
) -> ShownCameras:
    """The page that is asked for. ``label_of`` says what a camera's label is called there."""
    words = wanted.words.casefold()

    def fits(*texts: str) -> bool:
        return not words or any(words in text.casefold() for text in texts)

    found = [
        (device, one)
        for device, one in outline.cameras
        if (not wanted.only or f"{device}/{one.name}" == wanted.only)
        and fits(device, one.name, one.title, one.label, label_of(one))
    ]
    is_all = not wanted.only
    without = [
        name for name, _, cameras in outline.devices if not cameras and is_all and fits(name)
    ]
    pages = max(1, -(-len(found) // MOST_SHOWN))
    page = min(wanted.page, pages)
    first = (page - 1) * MOST_SHOWN
    places = tuple(found[first : first + MOST_SHOWN])
    there = {device for device, _ in places} | set(without[:MOST_SHOWN] if page == 1 else ())
    # Of most pictures; that of a single one is as near as it can be.
    counts = Counter(nearest_shape(*one.size) for _, one in places if one.size)
    return ShownCameras(
        places=places,
        devices=tuple(sorted(there)),
        first=first + 1,
        count=len(found),
        previous=Selection(wanted.words, page - 1) if page > 1 else None,
        next=Selection(wanted.words, page + 1) if page < pages else None,
        heard=len(outline.devices),
        shape=counts.most_common(1)[0][0] if counts else _USUAL_SHAPE,
    )


def nearest_shape(width: int, height: int) -> str:
    """The name of the shape that a picture of this size comes nearest to."""
    wanted = width / max(1, height)
    return min(_SHAPES, key=lambda name: max(_SHAPES[name] / wanted, wanted / _SHAPES[name]))
