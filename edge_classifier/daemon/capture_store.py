"""Keeps pictures for retraining, in a thread of its own, so that no frame waits for the disk."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from edge_classifier.config.settings import StoreSettings
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.metrics import DaemonMetric, counter, gauge
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
_WAITING = 2
# Pictures of a camera that a new one is compared with.
_RECENT = 256
# Of JPEGs to learn from: an artefact should not become a feature.
_QUALITY = 92
# After an error, before the disk is tried again.
_REST_S = 10.0
_IDLE_S = 60.0
_REMEDY = "Everything else goes on; free some room, or make store.max_bytes smaller"


@dataclass(frozen=True, slots=True)
class KeeperStatus:
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

    def facts(self) -> dict[str, object]:
        """For the ``stats`` topic."""
        return asdict(self)

    def figures(self) -> Iterator[DaemonMetric]:
        """For Prometheus."""
        yield gauge("store_pictures", "Pictures in the capture store.", self.pictures)
        yield gauge("store_bytes", "Of all pictures in the capture store.", self.bytes)
        yield counter("store_kept", "Pictures that were kept.", self.kept)
        yield counter("store_duplicates", "Not kept: one like it was there.", self.duplicates)
        yield counter("store_dropped", "Not kept: the disk was too slow.", self.dropped)
        yield counter("store_failed", "Not kept: the disk was full or broken.", self.failed)


@dataclass(frozen=True, slots=True)
class _Offer:
    camera: str
    why: Why
    frame: Frame
    utc_s: float
    facts: Mapping[str, object]


class CaptureStore:
    """The capture store. Any thread may call it; none of its calls but ``stop`` waits."""

    def __init__(
        self, store: StoreSettings, folder: Path, *, clock: Clock = time.monotonic
    ) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock
        self._status = KeeperStatus()
        self._dropped = 0
        self._album: PictureFiles | None = None
        self._recent: dict[str, deque[int]] = {}
        self._uncertain_at: dict[str, float] = {}
        self._rests_until = -float("inf")
        self._waiting: deque[_Offer] = deque()
        self._clear = self._stopping = False
        self._changed = threading.Condition()
        # A daemon thread: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    @property
    def status(self) -> KeeperStatus:
        """As of now."""
        return replace(self._status, dropped=self._dropped)

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

    def reconfigure(self, store: StoreSettings) -> None:
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

    def offer(
        self, camera: str, why: Why, frame: Frame, utc_s: float, facts: Mapping[str, object]
    ) -> bool:
        """Hand over a frame, captured at ``utc_s``; whether it was taken up.

        ``facts`` go into its line as JSON. The pixels must not change any more. A requested frame
        is kept even if it looks like another.
        """
        store = self._store
        if not store.enabled or (why == "changed" and not store.changed):
            return False
        if why == "uncertain":
            self._uncertain_at[camera] = self._clock()
        with self._changed:
            if len(self._waiting) >= _WAITING:
                self._dropped += 1
                return False
            self._waiting.append(_Offer(camera, why, frame, utc_s, facts))
            self._changed.notify()
        return True

    def _run(self) -> None:
        if self._store.enabled:
            self._guarded(self._open)
        while task := self._next():
            self._guarded(task)

    def _next(self) -> Callable[[], object] | None:
        """What is to be done now; None at the end."""
        with self._changed:
            while not (self._waiting or self._clear or self._stopping):
                self._changed.wait(_IDLE_S)
            if self._clear:
                self._clear = False
                return self._empty
            return partial(self._keep, self._waiting.popleft()) if self._waiting else None

    def _guarded(self, task: Callable[[], object]) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001 (this thread must outlive any one picture)
            self._failed(error)

    def _keep(self, offer: _Offer) -> None:
        outcome: _Outcome = "failed"
        try:
            if self._clock() >= self._rests_until:
                outcome = self._kept(offer, self._album or self._open())
        finally:
            self._count(outcome)

    def _kept(self, offer: _Offer, album: PictureFiles) -> _Outcome:
        store, bits = self._store, perceptual_hash(offer.frame)
        recent = self._recent.setdefault(offer.camera, deque(maxlen=_RECENT))
        alike = any(distance(bits, other) <= store.distance for other in recent)
        if alike and offer.why != "requested":
            return "duplicates"
        album.add(
            picture_name(offer.camera, offer.utc_s, bits),
            jpeg_within(offer.frame, store.max_bytes, _QUALITY),
            _facts(offer, bits),
            max_pictures=store.max_pictures,
            max_bytes=store.max_bytes,
        )
        recent.append(bits)
        self._succeeded()
        return "kept"

    def _count(self, outcome: _Outcome) -> None:
        before = self._status
        self._status = replace(before, **{outcome: getattr(before, outcome) + 1})
        self._look()

    def _look(self) -> None:
        if self._album:
            held = self._album.pictures, self._album.bytes
            self._status = replace(self._status, pictures=held[0], bytes=held[1])

    def _open(self) -> PictureFiles:
        self._recent = {}
        album = PictureFiles(self._folder)
        for camera, bits in album.hashes():
            self._recent.setdefault(camera, deque(maxlen=_RECENT)).append(bits)
        self._album = album
        self._look()
        return album

    def _empty(self) -> None:
        removed = clear(self._folder)
        self._album = None
        self._rests_until = -float("inf")
        self._status = replace(self._status, pictures=0, bytes=0)
        _log.info("%s: %d pictures removed", self._folder, removed)

    def _succeeded(self) -> None:
        if self._status.trouble:
            self._status = replace(self._status, trouble="")
            _log.warning("%s: pictures are kept again", self._folder)

    def _failed(self, error: Exception) -> None:
        """Said once, until it works again. The next try begins by mending what is half done."""
        self._album = None
        self._rests_until = self._clock() + _REST_S
        if not self._status.trouble:
            said = OutputError(str(self._folder), f"no pictures are kept: {error}", _REMEDY)
            _log.error("%s", said, exc_info=None if isinstance(error, OSError) else error)
        self._status = replace(self._status, trouble=str(error) or repr(error))


def _facts(offer: _Offer, bits: int) -> dict[str, Any]:
    """What a picture's line tells of it."""
    return {
        "camera": offer.camera,
        "why": offer.why,
        "ts": utc_stamp(offer.utc_s),
        **offer.facts,
        "width": offer.frame.width,
        "height": offer.frame.height,
        "hash": f"{bits:016x}",
    }
