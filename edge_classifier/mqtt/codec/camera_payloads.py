"""What a camera's state says, and the picture behind an event. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from edge_classifier.core.events import CameraState, OpenEpisode, Peak, Ranked
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.jpeg_comment import event_of
from edge_classifier.core.jpeg_scan import is_whole_jpeg
from edge_classifier.files import utc_stamp
from edge_classifier.mqtt.codec.json_fields import (
    decoded,
    encoded,
    line,
    number,
    utc_datetime,
)

# From a label to its name in the user's language.
Names = Callable[[str], str]
# Language to label to what people call it there.
Translations = Mapping[str, Mapping[str, str]]
NO_TRANSLATIONS: Translations = MappingProxyType({})

# Characters that are taken of a label and of a sentence.
MAX_LABEL, MAX_LINE = 200, 300
# Levels of a tree of labels.
MAX_PATH = 12
# Shares of a frame that are rounded to four digits may add up to a little more than 1.
_ROUNDING = 2e-4
# Of a peak, and of an episode's last look, what is worth a write.
_PEAK_STEP, _EPISODE_KEPT_S = 0.05, 600.0
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class StateMessage:
    """What a camera shows, as it was read. Texts are printable lines."""

    label: str
    # The label in the device's language.
    name: str
    score: float
    # When the frame was captured, in UTC.
    at: datetime
    since: datetime | None
    model: str
    enabled: bool
    # Why the camera is offline; empty while it is online.
    problem: str
    # What the network saw of the frame; None: all of it.
    box: RelativeBox | None = None
    # From the top of a tree of labels to this one, each with its name in the device's language.
    path: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SnapshotMessage:
    """What begins as a JPEG. Browsers decode it, we never do."""

    # The event that it belongs to; None if it was asked for.
    event: UUID | None
    jpeg: bytes


def state_payload(state: CameraState, name: Names, problem: str = "") -> dict[str, Any]:
    """What a camera shows; ``problem`` is why the camera is offline, if it is."""
    return {
        "label": state.label,
        "name": name(state.label),
        **path_payload(state.path, name),
        "score": rounded(state.score),
        "margin": rounded(state.margin),
        "top": top_payload(state.top, name),
        "since": utc_stamp(state.since),
        "ts": utc_stamp(state.at),
        "seq": state.seq,
        "model": state.model,
        "enabled": state.enabled,
        "threshold": rounded(state.threshold),
        "box": box_payload(state.box),
        "problem": problem or None,
    }


def read_state(payload: bytes) -> StateMessage:
    """A state, as far as the page shows it. Raises ValueError for what is not a state."""
    found = decoded(payload)
    label = line(found.get("label"), MAX_LABEL)
    if not label:
        raise ValueError("has no label")
    try:
        since = utc_datetime(found, "since")
    except ValueError:
        since = None
    return StateMessage(
        label=label,
        name=line(found.get("name"), MAX_LABEL) or label,
        score=number(found, "score", 0, 1),
        at=utc_datetime(found, "ts"),
        since=since,
        model=line(found.get("model"), MAX_LABEL),
        enabled=found.get("enabled") is not False,
        problem=line(found.get("problem"), MAX_LINE),
        box=read_box(found),
        path=tuple(zip(_lines(found, "path"), _lines(found, "path_names"), strict=False)),
    )


def _lines(found: Mapping[str, Any], key: str) -> list[str]:
    given = found.get(key)
    listed = given[:MAX_PATH] if isinstance(given, list) else []
    return [line(one, MAX_LABEL) for one in listed]


def top_payload(top: Iterable[Ranked], name: Names) -> list[dict[str, Any]]:
    """The best labels, best first."""
    return [{"label": label, "name": name(label), "score": rounded(score)} for label, score in top]


def translations_payload(
    labels: Iterable[str], translations: Translations
) -> dict[str, dict[str, str]]:
    """What people call ``labels`` in each language in which that is another name."""
    wanted = tuple(dict.fromkeys(labels))
    found = {
        language: {label: names[label] for label in wanted if names.get(label, label) != label}
        for language, names in translations.items()
    }
    return {language: names for language, names in found.items() if names}


def path_payload(path: Iterable[str], name: Names) -> dict[str, list[str]]:
    """The names from the top of the tree of labels down to a label, and what people call them."""
    return {"path": list(path), "path_names": [name(label) for label in path]}


def box_payload(box: RelativeBox | None) -> dict[str, float] | None:
    """What the network saw of a frame; ``read_box`` reads it."""
    return {name: rounded(share) for name, share in box._asdict().items()} if box else None


def read_box(found: Mapping[str, Any]) -> RelativeBox | None:
    """The ``box`` of a state or event; None for the whole frame, and for nonsense."""
    given = found.get("box")
    if not isinstance(given, dict):
        return None
    try:
        box = RelativeBox(*(number(given, name, 0, 1) for name in RelativeBox._fields))
    except ValueError:
        return None
    inside = box.left + box.width <= 1 + _ROUNDING and box.top + box.height <= 1 + _ROUNDING
    return box if inside and box.width and box.height else None


def read_snapshot(payload: bytes, max_bytes: int) -> SnapshotMessage:
    """A picture, written by ``core.jpeg_comment``. ValueError for what is not a whole JPEG."""
    if len(payload) > max_bytes or not payload.startswith(_JPEG):
        raise ValueError(f"is not a JPEG of at most {max_bytes} bytes")
    # Browsers would show half of a picture, or none, as if that was what the camera saw.
    if not is_whole_jpeg(payload):
        raise ValueError("is a JPEG that is cut short or damaged")
    event_id = event_of(payload)
    return SnapshotMessage(UUID(event_id) if event_id else None, payload)


def kept_state(state: CameraState) -> dict[str, Any]:
    """A state as it is remembered; ``restored_state`` reads it."""
    kept = {**asdict(state), **_kept_label(state)}
    if state.episode:
        kept["episode"]["peak"] |= _kept_label(state.episode.peak)
    return kept


def _kept_label(of: CameraState | Peak) -> dict[str, Any]:
    """What ``asdict`` does not make JSON of, in a state and in a peak."""
    return {
        "top": [list(ranked) for ranked in of.top],
        "box": of.box and of.box._asdict(),
        "path": list(of.path),
    }


def restored_state(found: Mapping[str, Any]) -> CameraState | None:
    """A remembered state; None for one that cannot be published.

    Another version may have kept it in another shape, or a failing card have changed it.
    """
    try:
        episode = None
        if (given := found.get("episode")) is not None:
            peak = given["peak"]
            told = {"path": tuple(peak["path"]), "top": _restored_top(peak), "box": read_box(peak)}
            episode = OpenEpisode(given["id"], given["started"], Peak(**{**peak, **told}))
        read = {
            "top": _restored_top(found),
            "box": read_box(found),
            # States of older versions have none.
            "path": tuple(found.get("path", ())),
            "episode": episode,
        }
        state = CameraState(**{**found, **read})
        encoded(state_payload(state, str))
    except (TypeError, KeyError, ValueError, OverflowError, OSError):
        return None
    return state


def _restored_top(found: Mapping[str, Any]) -> tuple[Ranked, ...]:
    return tuple(Ranked(*ranked) for ranked in found["top"])


def is_worth_keeping(state: CameraState, kept: CameraState | None) -> bool:
    """Whether more than the scores has changed since ``kept``: each write wears the card."""
    if kept is None or _lasting(state) != _lasting(kept):
        return True
    if state.episode is None or kept.episode is None:
        return state.episode is not kept.episode
    # After a restart the episode goes on from here.
    peak, before = state.episode.peak, kept.episode.peak
    is_raised = peak.label != before.label or peak.score >= before.score + _PEAK_STEP
    return is_raised or state.at - kept.at >= _EPISODE_KEPT_S


def _lasting(state: CameraState) -> tuple[object, ...]:
    return (state.label, state.since, state.seq, state.model, state.enabled, state.threshold)


def rounded(score: float) -> float:
    """As scores and shares are sent."""
    return round(score, 4)
