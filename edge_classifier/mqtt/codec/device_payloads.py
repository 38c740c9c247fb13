"""What a device's own topics say: whether it is there, statistics, what runs, and answers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from edge_classifier.mqtt.codec.camera_payloads import MAX_LABEL, MAX_LINE
from edge_classifier.mqtt.codec.camera_settings import (
    CameraSettingsMessage,
    camera_settings_payload,
    read_camera_settings,
)
from edge_classifier.mqtt.codec.json_fields import decoded, encoded, inner, line, number_or_none
from edge_classifier.mqtt.topics import OFFLINE, ONLINE, is_name

# Longest request that a daemon reads.
MAX_REQUEST_BYTES = 65_536
# Cameras of one device whose statistics are read.
_MAX_CAMERAS = 64
_MAX_RULES = 10
_WORDS = {ONLINE.encode(): True, OFFLINE.encode(): False}


@dataclass(frozen=True, slots=True)
class CameraStats:
    """One camera in the statistics of its daemon."""

    fps: float | None = None
    # Why no frames come.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StatsMessage:
    """The statistics of a daemon, as they were read; None where it has not told."""

    uptime_s: float | None
    memory_mb: float | None
    temperature_c: float | None
    # The daemon's own connection to its broker.
    connected: bool | None
    reason: str
    # Events that the broker has not acknowledged.
    waiting: int | None
    cameras: Mapping[str, CameraStats] = field(default_factory=dict)
    # Of each model that runs: median milliseconds a frame in its network.
    inference_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelChangeMessage:
    """How the last change goes of a model that was asked for by its file's hash."""

    model: str
    # Hex.
    sha256: str
    # Its camera; empty: all that have none of their own.
    camera: str
    # As docs/mqtt.md has them; others may come.
    state: str
    # Share of the file that has come, from 0 to 1; None: not known.
    share: float | None
    error: str


@dataclass(frozen=True, slots=True)
class InfoMessage:
    """What a daemon is, as it was read."""

    version: str = ""
    # The common one; of several the first.
    model: str = ""
    # All that run.
    models: tuple[str, ...] = ()
    # None: there was none since its start, or it is too old to tell.
    change: ModelChangeMessage | None = None
    # By camera, what may be set over MQTT.
    settings: Mapping[str, CameraSettingsMessage] = field(default_factory=dict)
    # What is configured for labels that the camera's model does not have, the first ones.
    resting_rules: tuple[str, ...] = ()
    # SHA-256 of the model that it offers for installation; empty: none. None: it is too old to.
    offered: str | None = None
    # By camera, the model that it runs; empty: the daemon is too old to tell.
    camera_models: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        change = asdict(self.change) if self.change else None
        return {
            "version": self.version,
            "model": self.model,
            "models": list(self.models),
            "camera_models": dict(self.camera_models),
            "model_change": change,
            "resting_rules": list(self.resting_rules),
            "model_offered": self.offered,
            "settings": {
                camera: camera_settings_payload(
                    {name: one.value for name, one in told.items()},
                    [name for name, one in told.items() if one.is_set_over_mqtt],
                )
                for camera, told in self.settings.items()
            },
        }


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A model, and which cameras run it."""

    model: str
    delegate: str
    cameras: list[str]


NO_INFO = InfoMessage()


def availability_payload(*, online: bool) -> bytes:
    """Of a device or a camera."""
    return (ONLINE if online else OFFLINE).encode()


def read_availability(payload: bytes) -> bool:
    """Whether it is online. Raises ValueError for another word."""
    if payload not in _WORDS:
        raise ValueError(f"is neither {ONLINE} nor {OFFLINE}")
    return _WORDS[payload]


def stats_payload(
    meters: Mapping[str, Any],
    *,
    publisher: Mapping[str, Any],
    store: Mapping[str, Any],
    host: Mapping[str, Any],
) -> dict[str, Any]:
    """Statistics: ``meters`` has those of the pipeline, ``cameras`` among them."""
    return {**meters, "publisher": publisher, "store": store, "host": host}


def read_stats(payload: bytes) -> StatsMessage:
    """Statistics, as far as the page shows them. Raises ValueError for an empty object, too."""
    found = _table(payload)
    host, publisher = inner(found, "host"), inner(found, "publisher")
    connected, waiting = publisher.get("connected"), number_or_none(publisher, "waiting", 0, 1e12)
    listed = found.get("models")
    rows = listed[:_MAX_CAMERAS] if isinstance(listed, list) else ()
    times = {
        line(one.get("model"), MAX_LABEL): number_or_none(inner(one, "inference_ms"), "p50", 0, 1e9)
        for one in rows
        if isinstance(one, dict)
    }
    return StatsMessage(
        uptime_s=number_or_none(found, "uptime_s", 0, 1e10),
        memory_mb=number_or_none(host, "memory_mb", 0, 1e9),
        temperature_c=number_or_none(host, "temperature_c", -100, 1000),
        connected=connected if isinstance(connected, bool) else None,
        reason=line(publisher.get("reason"), MAX_LINE),
        waiting=None if waiting is None else int(waiting),
        cameras={
            name: CameraStats(number_or_none(one, "fps", 0, 1e6), line(one.get("reason"), MAX_LINE))
            for name, one in islice(inner(found, "cameras").items(), _MAX_CAMERAS)
            if is_name(name) and isinstance(one, dict)
        },
        inference_ms={model: time for model, time in times.items() if model and time is not None},
    )


def info_payload(
    *,
    version: str,
    model: str,
    models: Iterable[RunningModel] = (),
    runtime: str,
    delegate: str,
    notes: list[str],
    resting_rules: Iterable[str] = (),
    labels: list[str],
    model_change: Mapping[str, Any] | None,
    model_offered: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any],
    configuration: Any,
) -> dict[str, Any]:
    """What runs here. ``configuration``: the settings in force, without secrets.

    ``settings``: by camera, what may be set over MQTT (``camera_settings_payload``).
    """
    return {
        "version": version,
        "model": model,
        "models": [asdict(one) for one in models],
        "runtime": runtime,
        "delegate": delegate,
        "notes": notes,
        "resting_rules": list(resting_rules),
        "labels": labels,
        "model_change": model_change,
        "model_offered": model_offered,
        "settings": settings,
        "configuration": configuration,
    }


def info_within(info: Mapping[str, Any], max_bytes: int) -> bytes | None:
    """``info`` in at most ``max_bytes``: with fewer labels, else without settings, too.

    A note says so. None where not even that fits.
    """
    labels = info.get("labels", [])
    for whole in (True, False):
        said = f"{len(labels)} labels are too many for the broker: the first are here"
        notes = [*info.get("notes", ()), said]
        kept_settings: dict[str, Any] = {}
        if not whole:
            notes[-1:] = ["labels and configuration are too large for the broker"]
            kept_settings = {"configuration": None, "settings": {}}
        short = {**info, "notes": notes, "labels": [], **kept_settings}
        room = max_bytes - len(encoded(short))
        if room >= 0:
            kept = []
            for label in labels:
                # Quotes and the comma; JSON may write a sign as six.
                room -= len(encoded({"": label})) - len(encoded({"": ""})) + 3
                if room < 0:
                    break
                kept.append(label)
            return encoded({**short, "labels": kept})
    return None


def read_info(payload: bytes) -> InfoMessage:
    """Version, models and settings. Raises ValueError for an empty object, too."""
    found = _table(payload)
    listed = found.get("models")
    told = [
        (line(one.get("model"), MAX_LABEL), one.get("cameras"))
        for one in (listed[:_MAX_CAMERAS] if isinstance(listed, list) else ())
        if isinstance(one, dict)
    ]
    of_cameras = {
        line(camera, MAX_LABEL): running
        for running, cameras in told
        for camera in (cameras[:_MAX_CAMERAS] if isinstance(cameras, list) else ())
    }
    model = line(found.get("model"), MAX_LABEL)
    # Older daemons tell the one alone.
    models = tuple(filter(None, dict.fromkeys((model, *(one for one, _cameras in told)))))
    change = _model_change(inner(found, "model_change"))
    version, settings = line(found.get("version"), MAX_LABEL), read_camera_settings(found)
    rules = found.get("resting_rules")
    resting = [
        line(rule, MAX_LINE) for rule in (rules[:_MAX_RULES] if isinstance(rules, list) else ())
    ]
    offered = line(inner(found, "model_offered").get("sha256"), MAX_LABEL)
    return InfoMessage(
        version,
        model,
        models,
        change,
        settings,
        tuple(filter(None, resting)),
        offered if "model_offered" in found else None,
        of_cameras,
    )


def _model_change(found: Mapping[str, Any]) -> ModelChangeMessage | None:
    if not found:
        return None
    count = number_or_none(found, "bytes", 0, 1e12)
    size = number_or_none(found, "size", 1, 1e12)
    return ModelChangeMessage(
        model=line(found.get("model"), MAX_LABEL),
        sha256=line(found.get("sha256"), MAX_LABEL),
        camera=line(found.get("camera"), MAX_LABEL),
        state=line(found.get("state"), MAX_LABEL),
        share=min(1.0, count / size) if count is not None and size else None,
        error=line(found.get("error"), MAX_LINE),
    )


def request_payload(body: Mapping[str, Any], transaction: str = "") -> bytes:
    """A request; with ``transaction``, which comes back in the response."""
    return encoded({**body, "transaction": transaction} if transaction else body)


def response_payload(
    data: Mapping[str, Any], *, error: str | None, transaction: object
) -> dict[str, Any]:
    """What was done, or why nothing was; ``transaction`` is that of the request."""
    return {
        "status": "ok" if error is None else "error",
        "data": dict(data),
        "error": error,
        "transaction": transaction,
    }


def read_response(payload: bytes) -> dict[str, Any]:
    """A response as it came, with ``status`` "ok" or "error". Raises ValueError for another."""
    found = decoded(payload)
    is_done = found.get("status") == "ok" and isinstance(found.get("data"), dict)
    is_refused = found.get("status") == "error" and isinstance(found.get("error"), str)
    if not (is_done or is_refused):
        raise ValueError("is neither an answer nor an error")
    return found


def _table(payload: bytes) -> dict[str, Any]:
    found = decoded(payload)
    if not found:
        raise ValueError("says nothing")
    return found
