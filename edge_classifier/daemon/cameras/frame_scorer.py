"""Which pixels of a camera's frame the network sees, and the scores that come of them."""

import time
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.classifier import Classifier, ScoredFrame
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.frame import PreprocessedCrop, PreprocessedFrame
from edge_classifier.decision.label_map import LabelMap
from edge_classifier.protocols import Clock
from edge_classifier.vision.camera_preprocess import CameraPreprocessor, region_of
from edge_classifier.vision.motion import MotionGate
from edge_classifier.vision.motion_finder import MotionFinder

# Share of the time that looking twice at every frame may take.
_MOST_OF_THE_TIME = 0.8
# Weight of the newest in the average of the network's time.
_NEWEST_WEIGHT = 0.1
# Something that is smaller than this share of the picture's height is too small in the whole ...
_SMALL = 0.42
# ... and counts if this sure of it, however sure the whole is of everything else; or if this sure
# where the whole has less than that share left of the sureness that it had before.
_SURE, _HARDLY_SURE, _LEFT = 0.5, 0.2, 0.95

_Scores = NDArray[np.float32]


class _ScoredCrop(NamedTuple):
    """What the network made of a part of a frame, or of the whole."""

    scores: _Scores
    took_ms: float
    # None: the whole.
    crop: PreprocessedCrop | None = None


class FrameScorer:
    """One camera's frames through one network. Belongs to the main loop's thread."""

    def __init__(
        self,
        classifier: Classifier,
        camera: CameraSettings,
        label_map: LabelMap,
        *,
        fps: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """``fps``: frames a second of all cameras together; None: of this one alone."""
        self._classifier, self._camera, self._label_map = classifier, camera, label_map
        # May become others.
        self.fps = (camera.rate_fps or inf) if fps is None else fps
        contract, spec = classifier.contract, classifier.engine.input
        is_wanted = camera.look != "whole"
        finder = MotionFinder(contract.width / contract.height) if is_wanted else None
        self._preprocessor = CameraPreprocessor(contract, spec, camera.region, finder, clock=clock)
        self._gate = MotionGate(camera.motion) if camera.motion.enabled else None
        # For the camera's own thread. None behind a gate: most frames would be prepared in vain.
        self.prepare = None if self._gate else self._preprocessor
        # Of the frame that was classified last; only behind a motion gate.
        self._last: ScoredFrame | None = None
        self._classified_at = -inf
        # The last of the whole, also while nothing moved; and of what moves, while it does.
        self._whole: _ScoredCrop | None = None
        self._still: _ScoredCrop | None = None
        self._moving: _ScoredCrop | None = None
        # Which of the two came last, where the time is too short for both.
        self._crop_is_newer = False
        # The network's, on average.
        self._usual_ms = 0.0

    def score(self, captured: CapturedFrame) -> ScoredFrame:
        """The frame's scores; while nothing moves, those of the last one that was classified."""
        prepared = captured.prepared
        # Preprocessed by another one: captured before the model or the region was exchanged.
        if prepared is not None and prepared.preprocessor is self.prepare:
            return self._look(prepared)
        region = region_of(captured.frame, self._camera.region)
        if self._gate is None:
            return self._classifier.score(region)
        at_s = captured.at.monotonic
        recent = at_s - self._classified_at < self._camera.motion.max_interval_s
        if self._last is not None and recent and not self._gate.moved(region):
            return self._last._replace(preprocess_ms=0.0, inference_ms=0.0)
        self._last, self._classified_at = self._look(self._preprocessor(captured.frame)), at_s
        self._gate.classified(region)
        return self._last

    def _look(self, frame: PreprocessedFrame) -> ScoredFrame:
        """At the whole, at what moves, or at both; of both the one that is surer counts."""
        if frame.crop is None:
            self._moving, self._crop_is_newer = None, False
            chosen = self._whole = self._still = self._run(frame.picture)
            spent_ms = chosen.took_ms
        elif self._camera.look == "motion":
            chosen = self._run(frame.crop.picture, frame.crop)
            spent_ms = chosen.took_ms
        else:
            # By turns where time is too short for both.
            has_time = 2 * self._usual_ms * self.fps <= 1e3 * _MOST_OF_THE_TIME
            whole, moving, spent_ms = self._whole, self._moving, 0.0
            at_crop = has_time or moving is None or not self._crop_is_newer
            if moving is None or at_crop:
                moving = self._run(frame.crop.picture, frame.crop)
                spent_ms += moving.took_ms
            if whole is None or has_time or not at_crop:
                whole = self._run(frame.picture)
                spent_ms += whole.took_ms
            self._whole, self._moving, self._crop_is_newer = whole, moving, at_crop
            still = self._still.scores if self._still else None
            is_crop = is_surer(self._label_map, moving.scores, frame.crop, whole.scores, still)
            chosen = moving if is_crop else whole
        box = chosen.crop.box if chosen.crop else None
        return ScoredFrame(chosen.scores, frame.preprocess_ms, spent_ms, box)

    def _run(self, picture: NDArray[Any], crop: PreprocessedCrop | None = None) -> _ScoredCrop:
        scored = self._classifier.score_preprocessed(picture, 0.0)
        weight = _NEWEST_WEIGHT if self._usual_ms else 1.0
        self._usual_ms += weight * (scored.inference_ms - self._usual_ms)
        return _ScoredCrop(scored.scores, scored.inference_ms, crop)


def is_surer(
    label_map: LabelMap,
    scores: _Scores,
    crop: PreprocessedCrop,
    whole: _Scores,
    still: _Scores | None,
) -> bool:
    """Whether ``scores`` of the ``crop`` are to be believed rather than those of the ``whole``.

    Those are that say more. And of something small that has come, the whole counts only for what it
    says more of than when all was ``still``: the sofa that it goes on seeing is no evidence against
    the cat in front of it. Then little is enough if the whole has become less sure, of a sofa that
    is hidden or in other light. It has not where a part of what fills the frame moves.
    """
    sureness, of_whole = _sureness(label_map, scores), _sureness(label_map, whole)
    if sureness > of_whole:
        return True
    if still is None or crop.share >= _SMALL:
        return False
    has_doubts = of_whole < _LEFT * _sureness(label_map, still)
    if sureness < (_HARDLY_SURE if has_doubts else _SURE):
        return False
    return sureness > _sureness(label_map, np.maximum(whole - still, 0))


def _sureness(label_map: LabelMap, scores: _Scores) -> float:
    """How much ``scores`` say: the mean down the best line of the tree, from 0 to 1.

    Without a tree it is the best score.
    """
    totals = label_map.tree.totals(label_map.reduce(scores))
    line = label_map.tree.best_line(totals, None)
    return sum(rung.score for rung in line) / len(line)
