"""What the record of a roll-out says, in the language of whoever reads it."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from edge_classifier.web.models import RolloutEntry

# What stands in the gaps is in ``RolloutEntry.detail``.
ENTRIES: Mapping[str, str] = {
    "begun": gettext_noop("%(who)s began it. Devices: %(devices)s."),
    "asked": gettext_noop("Is asked to run it."),
    "runs": gettext_noop("Runs it, and is watched."),
    "runs already": gettext_noop("Runs it already."),
    "kept": gettext_noop("Does no worse than before, after %(minutes)s minutes: it stays."),
    "few": gettext_noop("Too few events to judge: waited %(minutes)s minutes. It stays."),
    "failed": gettext_noop("Did not take it: %(message)s"),
    "no answer": gettext_noop("Did not take it: no answer, though it is online."),
    "left": gettext_noop("Runs another model again, %(model)s. %(message)s"),
    "away": gettext_noop("Is away, and nobody waits for it any more."),
    "returned": gettext_noop("Has come back."),
    "takes its place": gettext_noop("Takes the place of the first one, which is away."),
    "missed": gettext_noop("Was away, or not done, when the time was over."),
    "worse": gettext_noop("Halted, and goes back: %(finding)s"),
    "first failed": gettext_noop(
        "Halted, and goes back: the first device failed, or went away. %(message)s"
    ),
    "lost": gettext_noop(
        "Halted, and goes back: %(failed)s devices failed and %(away)s are away; %(limit)s may."
    ),
    "no evidence": gettext_noop("Halted, and goes back: too few events to judge."),
    "halted by": gettext_noop("%(who)s halted it; it goes back."),
    "stopped by": gettext_noop("%(who)s ended it; devices stay as they are."),
    "back": gettext_noop("Has gone back, to %(model)s."),
    "stuck": gettext_noop("Could not be sent back: it still runs the new model."),
    "stuck away": gettext_noop("Could not be sent back: it is away."),
    "done": gettext_noop("It is done."),
    "halted": gettext_noop("All have gone back that could."),
}
# Those that say why all go back.
HALTS = ("worse", "first failed", "lost", "no evidence", "halted by")
_FINDINGS: Mapping[str, str] = {
    "unknown": gettext_noop(
        "camera %(camera)s: unknown %(after)s of the time, %(before)s before (at most"
        " %(limit)s more)"
    ),
    "times": gettext_noop("%(after)s a frame, %(before)s before (at most %(limit)s times)"),
    "restarts": gettext_noop("started again %(after)s times (at most %(limit)s)"),
    "disagreement": gettext_noop(
        "sees %(after)s of %(observations)s pictures as another label than the model before (at"
        " most %(limit)s)"
    ),
}
_SHARES = ("unknown", "disagreement")
# What people call a camera, by the names of its device and its own.
CameraTitle = Callable[[str, str], str]


def entry_text(entry: RolloutEntry, title: CameraTitle | None = None) -> str:
    """One line of the record, without its device; without ``title`` cameras have their names."""
    gaps = dict(entry.detail)
    if entry.kind == "worse":
        gaps["finding"] = finding_text(gaps, entry.device, title)
    return (_(ENTRIES[entry.kind]) % gaps).strip() if entry.kind in ENTRIES else entry.kind


def finding_text(
    found: Mapping[str, Any], device: str = "", title: CameraTitle | None = None
) -> str:
    """One of the things that were judged of ``device``, with its figures."""
    what, camera = found["what"], found.get("camera", "")
    gaps = {
        **found,
        "camera": title(device, camera) if title and camera else camera,
        **{key: _figure(what, found[key]) for key in ("before", "after")},
        "limit": _figure(what, found["limit"]) if what in _SHARES else f"{found['limit']:g}",
    }
    return _(_FINDINGS[what]) % gaps


def _figure(what: str, value: float | None) -> str:
    if value is None:
        return "?"
    if what in _SHARES:
        return f"{100 * value:.0f} %"
    return f"{value:.1f} ms" if what == "times" else f"{value:g}"
