"""Keeps pictures for retraining, in a thread of its own, so that no frame waits for the disk."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from edge_classifier.config.settings import StoreSettings
from edge_classifier.core.events import CameraState
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.meters import DaemonMetric, counter, gauge
from edge_classifier.daemon.picture_files import PictureFiles, clear, picture_name
from edge_classifier.errors import OutputError
from edge_classifier.files import utc_stamp
from edge_classifier.protocols import Clock
from edge_classifier.vision.jpeg import jpeg_within
from edge_classifier.vision.similarity import distance, perceptual_hash

_log = logging.getLogger(__name__)

Why = Literal["uncertain", "changed", "requested"]
_Outcome = Literal["kept", "duplicates", "failed"]

# Frames that may wait for the disk: each is up to 6 MB.
_MAX_WAITING = 2
# Pictures of a camera that a new one is compared with.
_RECENT = 256
# Of JPEGs to learn from: an artefact should not become a feature.
_QUALITY = 92
# After an error, before the disk is tried again.
_RETRY_S = 10.0
# How often the folder is looked after while nothing else happens.
_LOOK_S = 1.0
_REMEDY = "Everything else goes on; free some room, or make store.max_bytes smaller"


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Counted since the start, but for what the store holds."""

    pictures: int = 0
    # Of all pictures in the store.
    bytes: int = 0
    kept: int = 0
    # Not kept, as another picture of the camera looks the same.
    duplicates: int = 0
    # Not kept, as the disk was too slow.
    dropped: int = 0
    # Not kept, as the disk was full or broken.
    failed: int = 0
    # What is wrong with the disk now.
    trouble: str = ""
    # When and how it was last deleted or changed from outside.
    incident: str = ""

    def stats(self) -> dict[str, object]:
        """For the ``stats`` topic."""
        return asdict(self)

    def metrics(self) -> Iterator[DaemonMetric]:
        """For Prometheus."""
        yield gauge("store_pictures", "Pictures in the capture store.", self.pictures)
        yield gauge("store_bytes", "Of all pictures in the capture store.", self.bytes)
        yield counter("store_kept", "Pictures that were kept.", self.kept)
        yield counter("store_duplicates", "Not kept: one like it was there.", self.duplicates)
        yield counter("store_dropped", "Not kept: the disk was too slow.", self.dropped)
        yield counter("store_failed", "Not kept: the disk was full or broken.", self.failed)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A frame, why it is to be kept, and what its camera showed then."""

    state: CameraState
    why: Why
    frame: Frame
    captured_at: float


class CaptureStore:
    """Any thread may call it; none of its calls but ``stop`` waits."""

    def __init__(
        self, store: StoreSettings, folder: Path, *, clock: Clock = time.monotonic
    ) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock
        self._status = StoreStatus()
        self._dropped = 0
        self._incident = ""
        self._files: PictureFiles | None = None
        self._recent: dict[str, deque[int]] = {}
        self._uncertain_at: dict[str, float] = {}
        self._retry_at = -float("inf")
        self._waiting: deque[_Offer] = deque()
        self._clear = self._stopping = False
        self._changed = threading.Condition()
        # A daemon thread: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="capture-store", daemon=True)

    @property
    def status(self) -> StoreStatus:
        """As of now."""
        return replace(self._status, dropped=self._dropped, incident=self._incident)

    def start(self) -> None:
        """Begin to take frames."""
        self._thread.start()

    def stop(self, within_s: float) -> bool:
        """Keep what is waiting, and end; False when the disk does not let it in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def clear(self) -> None:
        """Remove all pictures, soon."""
        with self._changed:
            self._clear = True
            self._waiting.clear()
            self._changed.notify()

    def forget_incident(self) -> None:
        """Somebody knows of what was deleted or changed from outside until now."""
        self._incident = ""

    def configure(self, store: StoreSettings) -> None:
        """Take other settings; tighter bounds act when the next picture comes."""
        self._store = store

    def is_uncertain(self, camera: str, score: float) -> bool:
        """Whether a frame with this best score is one to offer as uncertain now."""
        store = self._store
        if not (store.enabled and store.uncertain):
            return False
        if not store.uncertain_from <= score <= store.uncertain_to:
            return False
        last_s = self._uncertain_at.get(camera, -float("inf"))
        return self._clock() - last_s >= store.min_interval_s

    def offer(self, state: CameraState, why: Why, frame: Frame, captured_at: float) -> bool:
        """Hand over a frame, captured at this UTC second; whether it was taken up.

        ``state``: what its camera shows with it. The pixels must not change any more. A requested
        frame is kept even if it looks like another.
        """
        store = self._store
        if not store.enabled or (why == "changed" and not store.changed):
            return False
        if why == "uncertain":
            self._uncertain_at[state.camera] = self._clock()
        with self._changed:
            if len(self._waiting) >= _MAX_WAITING:
                self._dropped += 1
                return False
            self._waiting.append(_Offer(state, why, frame, captured_at))
            self._changed.notify()
        return True

    # The store's own thread.

    def _run(self) -> None:
        task: Callable[[], object] | None = self._open if self._store.enabled else self._next_task()
        while task:
            try:
                task()
            except Exception as error:  # noqa: BLE001 (nor end where the folder cannot be opened)
                self._report_failure(error)
            task = self._next_task()

    def _next_task(self) -> Callable[[], object] | None:
        """What is to be done now; None at the end."""
        with self._changed:
            while not (self._waiting or self._clear or self._stopping or self._is_gone()):
                self._changed.wait(_LOOK_S)
            if self._clear:
                self._clear = False
                return self._remove_all
            if not self._stopping and self._is_gone():
                return self._make_anew
            return partial(self._keep, self._waiting.popleft()) if self._waiting else None

    def _is_gone(self) -> bool:
        """Whether somebody has deleted or exchanged the folder, or its index."""
        return self._files is not None and not self._files.is_intact()

    def _make_anew(self) -> None:
        """Go on with what is there now."""
        before = self._status.pictures
        files = self._open()
        self._incident = (
            f"deleted or changed from outside; it has {files.pictures} of {before} pictures"
        )
        _log.error("%s: was %s", self._folder, self._incident)

    def _keep(self, offer: _Offer) -> None:
        outcome: _Outcome = "failed"
        try:
            if self._clock() >= self._retry_at:
                outcome = self._write(offer, self._files or self._open())
        except Exception as error:  # noqa: BLE001 (this thread must outlive any one picture)
            self._report_failure(error)
        # Last: who sees it counted finds the rest of the status right, too.
        before = self._status
        self._status = replace(before, **{outcome: getattr(before, outcome) + 1})
        self._count_held()

    def _write(self, offer: _Offer, files: PictureFiles) -> _Outcome:
        store, state, bits = self._store, offer.state, perceptual_hash(offer.frame)
        recent = self._recent.setdefault(state.camera, deque(maxlen=_RECENT))
        alike = any(distance(bits, other) <= store.distance for other in recent)
        if alike and offer.why != "requested":
            return "duplicates"
        facts = {
            "camera": state.camera,
            "why": offer.why,
            "ts": utc_stamp(offer.captured_at),
            "label": state.label,
            "score": round(state.score, 4),
            "margin": round(state.margin, 4),
            "top": [[name, round(score, 4)] for name, score in state.top],
            "model": state.model,
            "box": state.box and list(state.box),
            "width": offer.frame.width,
            "height": offer.frame.height,
            "hash": f"{bits:016x}",
        }
        files.add(
            picture_name(state.camera, offer.captured_at, bits),
            jpeg_within(offer.frame, store.max_bytes, _QUALITY),
            facts,
            max_pictures=store.max_pictures,
            max_bytes=store.max_bytes,
        )
        recent.append(bits)
        if self._status.trouble:
            self._status = replace(self._status, trouble="")
            _log.warning("%s: pictures are kept again", self._folder)
        return "kept"

    def _count_held(self) -> None:
        if self._files:
            pictures, held = self._files.pictures, self._files.bytes
            self._status = replace(self._status, pictures=pictures, bytes=held)

    def _open(self) -> PictureFiles:
        self._recent = {}
        files = PictureFiles(self._folder)
        for camera, bits in files.hashes():
            self._recent.setdefault(camera, deque(maxlen=_RECENT)).append(bits)
        self._files = files
        self._count_held()
        return files

    def _remove_all(self) -> None:
        removed = clear(self._folder)
        self._files = None
        self._retry_at = -float("inf")
        self._status = replace(self._status, pictures=0, bytes=0)
        _log.info("%s: %d pictures removed", self._folder, removed)

    def _report_failure(self, error: Exception) -> None:
        """Log it once, until it works again. The next try begins by mending what is half done."""
        self._files = None
        self._retry_at = self._clock() + _RETRY_S
        if not self._status.trouble:
            problem = OutputError(str(self._folder), f"no pictures are kept: {error}", _REMEDY)
            _log.error("%s", problem, exc_info=None if isinstance(error, OSError) else error)
        self._status = replace(self._status, trouble=str(error) or repr(error))
