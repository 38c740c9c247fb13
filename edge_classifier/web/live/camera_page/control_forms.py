"""The controls of a camera's page: what each is now, and what a form says of it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from edge_classifier.mqtt.codec.camera_settings import SETTABLE, CameraSettingsMessage

SNAPSHOT, MODEL = "snapshot", "model"
# In the order of the page: settings by their names over MQTT, and two that are none.
CONTROLS = {
    "enabled": _("Watching"),
    SNAPSHOT: _("Picture"),
    "enter": _("Threshold"),
    "region": _("Region"),
    "quiet_hours": _("Quiet hours"),
    "look": _("What the network sees"),
    MODEL: _("Model"),
    "title": _("Title"),
    "rate_fps": _("Frames a second"),
    "leave": _("Threshold below which a label ends"),
    "ignore": _("Never told"),
}
LOOKS = {"whole": _("the whole picture"), "motion": _("what moves"), "both": _("both")}
EDGES = {
    "left": _("from the left, %"),
    "top": _("from the top, %"),
    "width": _("width, %"),
    "height": _("height, %"),
}
# Those that are seldom changed.
_RARE = ("title", "rate_fps", "leave", "ignore")
_NUMBERS = ("enter", "leave", "rate_fps")
# Spans for which there is room beside those that are set.
_MORE_SPANS = 1


class NotUnderstoodError(ValueError):
    """What a form says makes no sense; the text is for people."""


@dataclass(frozen=True, slots=True)
class ControlAnswer:
    """What came of a request."""

    text: str
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """One setting with what it is now."""

    name: str
    title: str
    # As a form shows it.
    value: Any = None
    is_set_over_mqtt: bool = False
    answer: ControlAnswer | None = None

    @property
    def state(self) -> str:
        """What the daemon says of it: another text is another state."""
        return fingerprint(self.value, self.is_set_over_mqtt)

    @property
    def is_rare(self) -> bool:
        """Whether few will want to change it."""
        return self.name in _RARE

    @property
    def template(self) -> str:
        """What is in its form."""
        return f"live/control/{self.name}.html"


def fingerprint(*values: object) -> str:
    """A short text that is the same for the same values only."""
    return f"{crc32(repr(values).encode()):08x}"


def controls_of(
    settings: CameraSettingsMessage,
    model: str,
    answers: Mapping[str, ControlAnswer],
    *,
    may_switch_models: bool,
) -> Iterator[Control]:
    """All controls of a camera; settings that its daemon does not tell have none."""
    for name, title in CONTROLS.items():
        if name == MODEL and not may_switch_models:
            continue
        answer = answers.get(name)
        if name in settings:
            one = settings[name]
            value = _shown(name, one.value)
            yield Control(name, str(title), value, one.is_set_over_mqtt, answer)
        elif name not in SETTABLE:
            yield Control(name, str(title), model if name == MODEL else None, answer=answer)


def _shown(name: str, value: Any) -> Any:
    """``value``, which has the kind that ``camera_settings`` has checked, or is None."""
    match name, value:
        case "quiet_hours", list():
            spans = [tuple(one.replace(" ", "").split("-", 1)) for one in value]
            # A field for a time of day knows no 24:00, and a span that ends at 00:00 is the same.
            known = [(one[0], one[-1].replace("24:00", "00:00")) for one in spans]
            return known + [("", "")] * _MORE_SPANS
        case "region", dict():
            return [(edge, text, f"{100 * value[edge]:.4g}") for edge, text in EDGES.items()]
        case "ignore", list():
            return "\n".join(value)
        case _, float() | int() if name in _NUMBERS:
            return f"{value:g}"
    return value


def read_value(name: str, form: QueryDict) -> Any:
    """What ``form`` wants of the setting ``name``, as JSON. Raises NotUnderstoodError.

    Whether it may be so the daemon says.
    """
    match name:
        case "enabled":
            return form.get("value") == "true"
        case "region":
            shares = {edge: _number(form.get(edge, "")) / 100 for edge in EDGES}
            # What is drawn to the edge may be rounded beyond it.
            shares["width"] = min(shares["width"], 1 - shares["left"])
            shares["height"] = min(shares["height"], 1 - shares["top"])
            return {edge: round(share, 4) for edge, share in shares.items()}
        case "quiet_hours":
            spans = list(zip(form.getlist("from"), form.getlist("to"), strict=False))
            if any(bool(begin) != bool(end) for begin, end in spans):
                raise NotUnderstoodError(gettext("Quiet hours need a time from and a time to."))
            return [f"{begin}-{end}" for begin, end in spans if begin]
        case "ignore":
            return [one for line in form.get("value", "").splitlines() if (one := line.strip())]
        case _ if name in _NUMBERS:
            return _number(form.get("value", ""))
    return form.get("value", "").strip()


def _number(text: str) -> float:
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise NotUnderstoodError(gettext("“%s” is not a number.") % text[:40])
    return found
