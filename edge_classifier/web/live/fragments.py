"""The HTML of what is live, drawn once for all pages that want it in the same language."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import get_language, gettext

from edge_classifier.core.labels import UNKNOWN
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.live.score_history import HEIGHT, WIDTH
from edge_classifier.web.models import Label
from edge_classifier.web.recorder.recorder import Recorder

# Pieces of a few kB.
_MOST_KEPT = 800
# Of Chinese names of labels: seconds that they are kept, and how many.
_NAMES_KEPT_S, _MAX_NAMES = 60.0, 5000
# Cameras of one device side by side; live.css has a class for each number.
_MOST_COLUMNS = 4


class FragmentCache:
    """The last pieces of HTML, by what they show. For any thread."""

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], str] = OrderedDict()

    def get(self, key: tuple[object, ...], draw: Callable[[], str]) -> str:
        """The piece of this key; drawn if it is not there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        drawn = draw()
        with self._lock:
            self._kept[key] = drawn
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return drawn


class ChineseLabels:
    """The names in the database, looked up at most once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read_at: float | None = None
        self._names: dict[str, str] = {}

    def of(self, label: str) -> str:
        """The label's Chinese name; empty if there is none."""
        now = self._clock()
        if self._read_at is None or now - self._read_at > _NAMES_KEPT_S:
            self._read_at = now
            known = Label.objects.exclude(chinese="").values_list("name", "chinese")
            self._names = dict(known[:_MAX_NAMES])
        return self._names.get(label, "")


class LiveHtml:
    """Draws in the language that is active in the calling thread."""

    def __init__(self, live: LiveClient, recorder: Recorder | None) -> None:
        self._live = live
        self._recorder = recorder
        self._fragments = FragmentCache()
        self._chinese = ChineseLabels()

    def draw(self, since: int) -> tuple[int, Mapping[str, Any]]:
        """What has changed since the change ``since``, as ``stream.Draw`` has it.

        ``whole`` is the HTML of all devices; ``parts`` that of a few, by name of device, or of
        device and camera with a slash between.
        """
        outline = self._live.outline()
        top = self.top()
        if since < outline.order:
            return outline.version, {"top": top, "whole": self.whole()}
        parts: dict[str, str] = {}
        for device, version, cameras in outline.devices:
            if version > since:
                parts[device] = self._device(device, version)
            new = (one for one in cameras if one[1] > since)
            parts |= {f"{device}/{name}": self._camera(device, name, at) for name, at in new}
        return outline.version, {"top": top, **({"parts": parts} if parts else {})}

    def top(self) -> str:
        """How this page and the recorder are connected."""
        broker = self._live.broker
        facts = {
            "broker": {**broker, "since": _moment(broker["since"])},
            "recorder": self._recorder.status if self._recorder else None,
        }
        return render_to_string("live/top.html", facts)

    def whole(self) -> str:
        """All devices."""
        devices = [
            {
                "head": self._device(device, version),
                "cameras": [self._camera(device, name, at) for name, at in cameras],
                "columns": min(_MOST_COLUMNS, max(1, len(cameras))),
            }
            for device, version, cameras in self._live.outline().devices
        ]
        return render_to_string("live/devices.html", {"devices": devices})

    def _device(self, name: str, version: int) -> str:
        key = (name, version, get_language())
        return self._fragments.get(key, lambda: self._draw_device(name))

    def _camera(self, device: str, name: str, version: int) -> str:
        key = (device, name, version, get_language())
        return self._fragments.get(key, lambda: self._draw_camera(device, name))

    def _draw_device(self, name: str) -> str:
        device = self._live.device(name) or {"name": name}
        uptime_s = device.get("uptime_s")
        started = None if uptime_s is None else _moment(time.time() - uptime_s)
        return render_to_string("live/device.html", {"device": device, "started": started})

    def _draw_camera(self, device: str, name: str) -> str:
        camera = self._live.camera(device, name) or {"device": device, "camera": name}
        chart = camera.get("chart")
        facts = {
            "camera": camera,
            "label": self._label(camera.get("label", ""), camera.get("name", "")),
            "since": _moment(camera.get("since")),
            "before": [
                (self._label(point.label, point.label), _moment(point.at))
                for point in camera.get("before", ())
            ],
            "chart": chart,
            "chart_start": _moment(chart.start) if chart else None,
            "width": WIDTH,
            "height": HEIGHT,
            "half": HEIGHT // 2,
        }
        return render_to_string("live/camera.html", facts)

    def _label(self, label: str, name: str) -> str:
        """``label`` in the page's language; ``name`` is in the device's."""
        if label == UNKNOWN:
            return gettext("unknown")
        if not (get_language() or "").startswith("zh"):
            return label
        return self._chinese.of(label) or name


def _moment(utc_s: float | None) -> datetime | None:
    return None if utc_s is None else datetime.fromtimestamp(utc_s, UTC)
