"""Where something moves before a camera: the part of a frame that is worth a look of its own.

On a picture of 160 pixels in grey, at a few hundredths of the network's cost;
scripts/benchmarks/motion_scenes.py measures how well and at what cost.
"""

from collections.abc import Sequence
from math import expm1
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import Box, box_around
from edge_classifier.vision.motion import Grey, small_grey

# The longer side of what is compared: one of these pixels is 8 of 1280.
_LONGER_PX = 160
# Grey levels by which a pixel must differ from the background: noise of 10 in a frame is 3 here.
_LEAST_DIFFERENCE = 12
# And how many times its usual difference, which is high where leaves wave.
_USUAL_TIMES = 2.5
# Of 14,400 pixels, those that must differ together.
_LEAST_PIXELS = 12
# Seconds in which the background follows slow changes, as of daylight, and sudden ones, as of a
# chair that was put there.
_SLOW_S, _SUDDEN_S = 10.0, 60.0
# Seconds in which a pixel's usual difference is learnt, which makes what stands still a part of
# the background, and for how long it is looked at after that.
_USUAL_S, _HELD_S = 30.0, 15.0
# When more than this share of the picture has changed, it is the camera that moves, or the light.
_MOST_CHANGED = 0.5
# So are that many places of which none is larger than the others together: edges everywhere.
_SCATTERED = 4
# What correlates so much with what was there before is the same: in other light, or a part of a
# thing that moves in its place.
_SAME = 0.6
# Share of the levels by which the light has changed that is not believed to be known exactly.
_LIGHT_DOUBT = 0.25
# Columns and rows with less than this share of the fullest one's pixels are shadows and streaks.
_TRIMMED = 0.15
# By how much each side of a place is further out than the thing's: what differs is blurred.
_WIDENED = 1
# How much more a place counts that overlaps the one before: of two, one is looked at for a while.
_LOYALTY = 1.5
# Sides of what is looked at over those of what moves, and the least side, in pixels.
_SURROUNDINGS, _LEAST_SIDE_PX = 1.0, 112
# Samples of which the light is estimated, rounds in which those that differ more than the rest by
# some levels are left out, and the level from which they may be saturated.
_LIGHT_SIZE, _LIGHT_ROUNDS, _LIGHT_LEVELS, _SATURATED = (40, 24), 3, 5, 250

# Light that changes makes more than this share of the samples differ; most things that come do not.
_SAME_LIGHT = 0.2

_NEIGHBOURS = np.ones((3, 3), np.uint8)
_NEAR = np.ones((5, 5), np.uint8)

_Levels = NDArray[np.float32]


class _Place(NamedTuple):
    """Where pixels changed together, in small pixels."""

    left: int
    top: int
    right: int
    bottom: int
    # How many changed.
    pixels: int

    def of(self, grey: Grey) -> Grey:
        """This part of ``grey``: a view."""
        return grey[self.top : self.bottom, self.left : self.right]

    def overlaps(self, other: "_Place | None") -> bool:
        return other is not None and (
            max(self.left, other.left) < min(self.right, other.right)
            and max(self.top, other.top) < min(self.bottom, other.bottom)
        )


class MotionFinder:
    """Compares frames with a slowly learning background. For one camera and one thread."""

    def __init__(self, aspect: float = 1.0) -> None:
        """``aspect``: width over height of the boxes that are wanted."""
        self._aspect = aspect
        # Shape (height, width); and by how much each pixel usually differs from it.
        self._background: _Levels = np.empty((0, 0), np.float32)
        self._usual: _Levels = self._background
        self._least: Grey = np.empty((0, 0), np.uint8)
        self._at_s = 0.0
        # What is looked at, and until when if nothing moves there any more.
        self._place: _Place | None = None
        self._until_s = 0.0
        # Frames in a row that were wholly different from the one before.
        self._upheavals = 0

    def find(self, frame: Frame, at_s: float) -> Box | None:
        """What to look at in ``frame``, seen at ``at_s``; None: nothing but the whole.

        It is the largest thing that has come, for a while also after it has come to stand. Changing
        light and rain do not count, and while the camera moves nothing does.
        """
        scale = max(frame.width, frame.height) / _LONGER_PX
        size = max(1, round(frame.width / scale)), max(1, round(frame.height / scale))
        grey = small_grey(frame, size)
        elapsed_s, self._at_s = max(0.0, at_s - self._at_s), at_s
        if self._background.shape != grey.shape:
            self._begin_anew(grey)
            self._place = None
            return None
        background = np.asarray(cv2.convertScaleAbs(self._background), np.uint8)
        expected = _in_light_of(background, grey)
        difference = _difference(grey, expected)
        relit = None if expected is background else cv2.absdiff(expected, background)
        changed = self._changed(difference, relit)
        places = _places(changed)
        # So much may have changed that it cannot be a thing that moves.
        pixels = [place.pixels for place in places]
        is_scattered = len(places) >= _SCATTERED and 2 * max(pixels) < sum(pixels)
        if is_scattered or sum(pixels) > _MOST_CHANGED * grey.size:
            self._upheavals += 1
            self._begin_anew(grey)
            if self._upheavals > 1:
                # No lamp that was switched on: the camera moves.
                self._place = None
            return None
        self._upheavals = 0
        self._choose(places, changed, grey, background)
        unchanged = cv2.bitwise_not(changed)
        cv2.accumulateWeighted(grey, self._background, _weight(elapsed_s, _SLOW_S), unchanged)
        cv2.accumulateWeighted(grey, self._background, _weight(elapsed_s, _SUDDEN_S), changed)
        cv2.accumulateWeighted(difference, self._usual, _weight(elapsed_s, _USUAL_S))
        if self._place is None:
            return None
        left, top, right, bottom = (round(scale * side) for side in self._place[:4])
        inner = Box(left, top, right - left, bottom - top)
        whole = Box(0, 0, frame.width, frame.height)
        return box_around(inner, whole, _SURROUNDINGS, _LEAST_SIDE_PX, self._aspect)

    def _changed(self, difference: Grey, relit: NDArray[Any] | None) -> Grey:
        """255 where ``difference`` is more than noise, than is usual, and than light explains.

        ``relit``: the levels by which the light alone has changed; None: it has not.
        """
        usual = cv2.convertScaleAbs(self._usual, alpha=_USUAL_TIMES)
        least = cv2.max(usual, self._least)
        if relit is not None:
            least = cv2.scaleAdd(relit, _LIGHT_DOUBT, least)
        changed = cv2.compare(difference, least, cv2.CMP_GT)
        return np.asarray(cv2.morphologyEx(changed, cv2.MORPH_OPEN, _NEIGHBOURS), np.uint8)

    def _choose(
        self, places: Sequence[_Place], changed: Grey, grey: Grey, background: Grey
    ) -> None:
        """Look at the largest place with something new, or for a while at the one before."""
        before = self._place

        def weight(place: _Place) -> float:
            return place.pixels * (_LOYALTY if place.overlaps(before) else 1)

        for place in sorted(places, key=weight, reverse=True):
            mask = place.of(changed)
            if _correlation(place.of(grey), place.of(background), mask) > _SAME:
                np.copyto(
                    self._background[place.top : place.bottom, place.left : place.right],
                    place.of(grey),
                    where=mask > 0,
                )
                continue
            self._place, self._until_s = _trimmed(place, mask, grey), self._at_s + _HELD_S
            return
        if self._at_s > self._until_s:
            self._place = None

    def _begin_anew(self, grey: Grey) -> None:
        """Take all that is to be seen for background."""
        self._background = grey.astype(np.float32)
        self._usual = np.zeros_like(self._background)
        self._least = np.full_like(grey, _LEAST_DIFFERENCE)


def _weight(elapsed_s: float, time_constant_s: float) -> float:
    """Of the newest value in an average in which an old one fades to 1/e in that time."""
    return -expm1(-elapsed_s / time_constant_s)


def _in_light_of(background: Grey, grey: Grey) -> Grey:
    """``background`` as it would be in the light, and at the exposure, of ``grey``."""
    before = np.asarray(
        cv2.resize(background, _LIGHT_SIZE, interpolation=cv2.INTER_NEAREST), np.uint8
    )
    now = cv2.resize(grey, _LIGHT_SIZE, interpolation=cv2.INTER_NEAREST)
    differing = cv2.inRange(cv2.absdiff(before, now), _LIGHT_LEVELS + 1, 255)
    if cv2.countNonZero(differing) < _SAME_LIGHT * differing.size:
        return background
    unsaturated = alike = cv2.inRange(now, 0, _SATURATED)
    gain, offset = 1.0, 0.0
    for _ in range(_LIGHT_ROUNDS):
        mean_before, spread_before = (one.item() for one in cv2.meanStdDev(before, mask=alike))
        mean_now, spread_now = (one.item() for one in cv2.meanStdDev(now, mask=alike))
        gain = (spread_now + _LIGHT_LEVELS) / (spread_before + _LIGHT_LEVELS)
        offset = mean_now - gain * mean_before
        residual = cv2.absdiff(_scaled(before, gain, offset), now)
        usual = cv2.mean(residual, mask=alike)[0]
        alike = cv2.bitwise_and(
            cv2.inRange(residual, 0, round(2 * usual) + _LIGHT_LEVELS), unsaturated
        )
    return _scaled(background, gain, offset)


def _scaled(grey: Grey, gain: float, offset: float) -> Grey:
    return np.asarray(cv2.addWeighted(grey, gain, grey, 0.0, offset), np.uint8)


def _difference(grey: Grey, background: Grey) -> Grey:
    """By how many levels each pixel is above or below all its neighbours in ``background``.

    A camera that shakes by less than a pixel, which is 8 of 1280, does not see edges move.
    """
    brightest = cv2.dilate(background, _NEIGHBOURS)
    darkest = cv2.erode(background, _NEIGHBOURS)
    beyond = cv2.max(cv2.subtract(grey, brightest), cv2.subtract(darkest, grey))
    return np.asarray(cv2.blur(beyond, (3, 3)), np.uint8)


def _places(changed: Grey) -> list[_Place]:
    """Where pixels changed together, or nearly so."""
    near = cv2.dilate(changed, _NEAR)
    outlines, _ = cv2.findContours(near, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        left, top, width, height = cv2.boundingRect(outline)
        pixels = cv2.countNonZero(changed[top : top + height, left : left + width])
        if pixels >= _LEAST_PIXELS:
            found.append(_Place(left, top, left + width, top + height, pixels))
    return found


def _correlation(grey: Grey, background: Grey, mask: Grey) -> float:
    """Between two pictures where ``mask`` is set, from -1 to 1; about 0 where one is flat."""
    mean, spread = (one.item() for one in cv2.meanStdDev(grey, mask=mask))
    mean_before, spread_before = (one.item() for one in cv2.meanStdDev(background, mask=mask))
    product = cv2.mean(cv2.multiply(grey, background, dtype=cv2.CV_32F), mask=mask)[0]
    # The levels keep noise from correlating.
    least = _LIGHT_LEVELS * _LIGHT_LEVELS
    return float((product - mean * mean_before) / (spread * spread_before + least))


def _trimmed(place: _Place, mask: Grey, grey: Grey) -> _Place:
    """``place`` in ``grey`` without what sticks out of its ``mask``, and without the blur."""
    spans = []
    for axis, start, size in ((0, place.left, grey.shape[1]), (1, place.top, grey.shape[0])):
        # numpy's sums and searches take ten times as long on so little.
        sums = cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32F)
        fullest = cv2.minMaxLoc(sums)[1]
        x, y, width, height = cv2.boundingRect(cv2.inRange(sums, _TRIMMED * fullest, fullest))
        first, last = (x, x + width) if axis == 0 else (y, y + height)
        # At the edge of the frame the thing may go on.
        first += start + (_WIDENED if start + first > 0 else 0)
        last += start - (_WIDENED if start + last < size else 0)
        spans.append((first, max(last, first + 1)))
    (left, right), (top, bottom) = spans
    return _Place(left, top, right, bottom, place.pixels)
