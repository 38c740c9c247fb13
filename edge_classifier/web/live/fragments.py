"""The HTML of what is live, drawn once for all pages that want it in the same language."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.urls import get_script_prefix
from django.utils import timezone
from django.utils.translation import get_language, gettext

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.web.live.camera_list import (
    Outline,
    Selection,
    ShownCameras,
    nearest_shape,
    select,
)
from edge_classifier.web.live.camera_page import past_events
from edge_classifier.web.live.camera_page.control_forms import fingerprint
from edge_classifier.web.live.camera_page.steps_chart import LANE_PX, steps_chart
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Label
from edge_classifier.web.notify.notifier import EventNotifier
from edge_classifier.web.recorder.recorder import Recorder
from edge_classifier.web.records.display import box_overlay
from edge_classifier.web.templatetags.words import named

# Pieces of a few kB.
_MOST_KEPT = 800
# Of Chinese names of labels: seconds that they are kept, and how many.
_NAMES_KEPT_S, _MAX_NAMES = 60.0, 5000
# With so many cameras side by side, each is small; live.css has a class for each number below it.
_MANY = 7
# Of one camera; and seconds that a drawing of its past is kept.
_PAST_KEPT_S = 10
_LAST_PICTURES = 8


class Audience(NamedTuple):
    """For whom a page is drawn."""

    # Of one camera, with all that is known of it.
    is_single: bool = False
    # Whether they may change something.
    may_control: bool = False


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

    def __init__(
        self, live: LiveClient, recorder: Recorder | None, notifier: EventNotifier | None = None
    ) -> None:
        self._live = live
        self._recorder = recorder
        self._notifier = notifier
        self._fragments = FragmentCache()
        self._chinese = ChineseLabels()

    def connections(self) -> dict[str, str]:
        """``top``: what is wrong now, if anything is; ``status``: how this page is connected."""
        broker = self._live.broker
        facts = {
            "broker": {**broker, "since": _moment(broker["since"])},
            "recorder": self._recorder.status if self._recorder else None,
            "failures": self._notifier.failures if self._notifier else (),
        }
        return {
            "top": render_to_string("live/top.html", facts),
            "status": render_to_string("live/status.html", facts),
        }

    def shown(self, selection: Selection) -> tuple[Outline, ShownCameras]:
        """What there is, and what of it is on the page that is asked for."""
        outline = self._live.outline()
        return outline, select(
            outline, selection, lambda one: self._label(one.label, one.label_name)
        )

    def whole(self, outline: Outline, shown: ShownCameras, audience: Audience) -> str:
        """All that is shown."""
        count = len(shown.places)
        facts = {
            "shown": shown,
            "cameras": [
                self._camera(audience, device, one.name, one.version)
                for device, one in shown.places
            ],
            "devices": [
                self._device(audience, device, version)
                for device, version, _ in outline.devices
                if device in shown.devices
            ],
            "size": "many" if count >= _MANY else f"few-{count}",
            "is_single": audience.is_single,
        }
        return render_to_string("live/wall.html", facts)

    def parts(
        self, outline: Outline, shown: ShownCameras, since: int, audience: Audience
    ) -> dict[str, str]:
        """What has changed of it since the change ``since``: by device, or device/camera."""
        heads = {
            device: self._device(audience, device, version)
            for device, version, _ in outline.devices
            if device in shown.devices and version > since
        }
        return heads | {
            f"{device}/{camera.name}": self._camera(audience, device, camera.name, camera.version)
            for device, camera in shown.places
            if camera.version > since
        }

    def _device(self, audience: Audience, name: str, version: int) -> str:
        may_control = audience.may_control
        key = (name, version, may_control, get_language(), get_script_prefix())
        return self._fragments.get(key, lambda: self._draw_device(name, may_control=may_control))

    def _camera(self, audience: Audience, device: str, name: str, version: int) -> str:
        template = "live/camera.html" if audience.is_single else "live/tile.html"
        # What was recorded comes a moment after what was told, and without a number of its own.
        age = int(time.time() / _PAST_KEPT_S) if audience.is_single else 0
        key = (template, device, name, version, age, get_language(), get_script_prefix())
        return self._fragments.get(key, lambda: self._draw_camera(template, device, name))

    def _draw_device(self, name: str, *, may_control: bool) -> str:
        device = self._live.device(name) or {"name": name}
        uptime_s = device.get("uptime_s")
        facts = {
            "device": device,
            "started": None if uptime_s is None else _moment(time.time() - uptime_s),
            "may_forget": may_control and device.get("online") is False,
        }
        return render_to_string("live/device.html", facts)

    def _draw_camera(self, template: str, device: str, name: str) -> str:
        camera = self._live.camera(device, name) or {"device": device, "camera": name}
        size = camera.get("frame_size") or (None, None)
        facts: dict[str, Any] = {
            "camera": camera,
            "label": self._label(camera.get("label", ""), camera.get("name", "")),
            "box": box_overlay(camera.get("frame_box"), *size),
            "since": _moment(camera.get("since")),
            "at": _moment(camera.get("at")),
        }
        if template == "live/camera.html":
            facts |= self._past(camera)
            facts["state"] = fingerprint(
                self._live.settings(device, name), camera.get("model"), camera.get("device_online")
            )
            facts["shape"] = nearest_shape(*size) if size[0] else ""
            # Without the label itself.
            names = camera.get("names", {})
            facts["path"] = [
                self._label(label, names.get(label, name))
                for label, name in camera.get("path", ())[:-1]
            ]
        return render_to_string(template, facts)

    def _past(self, camera: dict[str, Any]) -> dict[str, Any]:
        """What the camera has shown, as steps and as pictures."""
        now = time.time()
        recorded = past_events.past_events(camera["device"], camera["camera"], now)
        points = past_events.before(recorded, camera.get("points", []))
        chart = steps_chart(points, now, timezone.get_current_timezone())
        names = camera.get("names", {})
        return {
            "chart": chart,
            "lane_px": LANE_PX,
            "lanes": [
                (self._label(lane.label, names.get(lane.label, lane.label)), lane)
                for lane in (chart.lanes if chart else ())
            ],
            "pictures": [
                (gettext("unknown") if one.label == UNKNOWN else named(one.label, one.chinese), one)
                for one in reversed(recorded)
                if one.has_picture and one.label != UNKNOWN
            ][:_LAST_PICTURES],
        }

    def _label(self, label: str, name: str) -> str:
        """``label`` in the page's language; ``name`` is in the device's."""
        if label == UNKNOWN:
            return gettext("unknown")
        if not (get_language() or "").startswith("zh"):
            return label
        return self._chinese.of(label) or name


class PageNews:
    """What is new on one open page, as ``stream.Draw`` has it."""

    def __init__(self, html: LiveHtml, selection: Selection, may_control: bool) -> None:
        self._html = html
        self._selection = selection
        self._audience = Audience(bool(selection.only), may_control)
        # Of what was drawn last; None: nothing yet, or by another stream.
        self._layout: tuple[object, ...] | None = None

    def __call__(self, since: int) -> tuple[int, Mapping[str, Any]]:
        """``whole`` is the HTML of the page; ``parts`` that of what has changed, by name."""
        outline, shown = self._html.shown(self._selection)
        # A label that has changed meanwhile may have brought a camera, or taken it away.
        is_unknown = since < outline.order or bool(self._selection.words)
        is_new = is_unknown if self._layout is None else shown.layout != self._layout
        self._layout = shown.layout
        news: dict[str, Any] = self._html.connections()
        if is_new or not since:
            news["whole"] = self._html.whole(outline, shown, self._audience)
        elif parts := self._html.parts(outline, shown, since, self._audience):
            news["parts"] = parts
        return outline.version, news


def _moment(utc_s: float | None) -> datetime | None:
    return None if utc_s is None else datetime.fromtimestamp(utc_s, UTC)
