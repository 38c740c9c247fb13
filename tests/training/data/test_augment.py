"""Training pictures are varied as the settings say, and by the given randomness alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.training.data.augment import augment, blend
from edge_classifier.training.data.examples import PictureExamples
from edge_classifier.training.run_report import augmentation_picture
from edge_classifier.training.settings import Augment
from edge_classifier.vision.preprocess import Pixels
from tests.training.small_job import CONTRACT, draw_pictures

OFF = Augment(flip=False, rotation_deg=0, zoom=0, contrast=0, brightness=0, colour=0)
STRONG = Augment(rotation_deg=180, zoom=0.9, contrast=1, brightness=1, colour=1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(height: int, width: int) -> Pixels:
    return rng(9).integers(0, 256, (height, width, 3), np.uint8)


def ramp(height: int, width: int) -> Pixels:
    """Red grows to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return np.stack((x, y, np.full_like(x, 128)), 2).astype(np.uint8)


def test_square_with_all_off_is_the_picture_itself() -> None:
    picture = noise(48, 48)
    np.testing.assert_array_equal(augment(picture, rng(), OFF, 48), picture)


def test_flip_alone_mirrors_half_of_the_pictures_and_leaves_the_others() -> None:
    picture = noise(32, 32)
    settings = replace(OFF, flip=True)
    results = [augment(picture, rng(seed), settings, 32) for seed in range(200)]
    mirrored = [np.array_equal(result, picture[:, ::-1]) for result in results]
    assert all(m or np.array_equal(r, picture) for m, r in zip(mirrored, results, strict=True))
    assert 70 < sum(mirrored) < 130


def test_wide_picture_is_cut_anywhere_along_its_length() -> None:
    cuts = [augment(ramp(40, 120), rng(seed), OFF, 40) for seed in range(60)]
    lefts = [int(cut[20, 0, 0]) for cut in cuts]
    assert min(lefts) < 10
    assert 70 < max(lefts) <= 80
    assert all(
        abs(int(cut[20, -1, 0]) - left - 39) <= 1 for cut, left in zip(cuts, lefts, strict=True)
    )


def test_zoom_cuts_a_square_that_is_at_most_so_much_smaller() -> None:
    settings = replace(OFF, zoom=0.5)
    spans = []
    for seed in range(60):
        cut = augment(ramp(100, 100), rng(seed), settings, 50).astype(int)
        spans.append(cut[25, -1, 0] - cut[25, 0, 0])
    assert 45 <= min(spans) < 60
    assert 90 < max(spans) <= 100


def test_rotation_turns_up_to_the_angle_to_both_sides() -> None:
    settings = replace(OFF, rotation_deg=30)
    angles = []
    for seed in range(60):
        middle = augment(ramp(200, 200), rng(seed), settings, 200)[90:110, 90:110].astype(float)
        across, down = np.gradient(middle[..., 0])[::-1]
        angles.append(np.degrees(np.arctan2(down.mean(), across.mean())))
    assert -31 < min(angles) < -25
    assert 25 < max(angles) < 31


def test_brightness_moves_every_value_by_at_most_its_share_of_the_range() -> None:
    grey = np.full((16, 16, 3), 128, np.uint8)
    settings = replace(OFF, brightness=0.2)
    values = [int(augment(grey, rng(seed), settings, 16)[0, 0, 0]) for seed in range(100)]
    assert 77 <= min(values) < 85
    assert 171 < max(values) <= 179


def test_contrast_spreads_values_around_the_middle() -> None:
    picture = np.tile(np.array((64, 192), np.uint8)[:, None], (8, 16, 3)).reshape(16, 16, 3)
    settings = replace(OFF, contrast=0.5)
    spans = [np.ptp(augment(picture, rng(seed), settings, 16).astype(int)) for seed in range(100)]
    assert 63 <= min(spans) < 75
    assert 180 < max(spans) <= 193


def test_colour_changes_each_channel_by_itself() -> None:
    grey = np.full((16, 16, 3), 100, np.uint8)
    pixel = augment(grey, rng(1), replace(OFF, colour=0.3), 16)[0, 0]
    assert len(set(pixel.tolist())) == 3
    assert pixel.min() >= 70
    assert pixel.max() <= 130


def test_one_variation_off_leaves_the_others_as_they_are() -> None:
    picture = noise(64, 80)
    with_colour = replace(OFF, rotation_deg=20, zoom=0.3, colour=0.5)
    without = replace(with_colour, colour=0)
    gains = augment(np.full_like(picture, 100), rng(3), with_colour, 32)[0, 0] / 100.0
    expected = np.clip(augment(picture, rng(3), without, 32) * gains, 0, 255)
    np.testing.assert_allclose(augment(picture, rng(3), with_colour, 32), expected, atol=3)


def test_strongly_shrunk_picture_keeps_its_mean_without_aliasing() -> None:
    checks = np.indices((512, 512)).sum(0) % 2 * 255
    picture = np.repeat(checks[..., None], 3, 2).astype(np.uint8)
    shrunk = augment(picture, rng(), OFF, 32)
    assert np.abs(shrunk.astype(int) - 128).max() <= 1


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    seed=st.integers(0, 2**32),
    size=st.sampled_from((8, 32, 33)),
)
def test_any_picture_becomes_a_square_and_the_same_one_again(
    height: int, width: int, seed: int, size: int
) -> None:
    picture = noise(height, width)
    first = augment(picture, rng(seed), STRONG, size)
    assert first.shape == (size, size, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, augment(picture, rng(seed), STRONG, size))


def test_blend_weighs_both_pictures() -> None:
    dark, bright = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 200, np.uint8)
    assert (blend(dark, bright, 0.25) == 150).all()


@pytest.mark.parametrize("settings", [Augment(), Augment(mixup=0.4)])
def test_augmentation_picture_has_a_row_a_picture_and_a_column_a_variant(
    settings: Augment, tmp_path: Path
) -> None:
    examples = PictureExamples(draw_pictures(tmp_path, 6), CONTRACT, settings)
    small = augmentation_picture(examples, rows=2, variants=3)
    large = augmentation_picture(examples, rows=4, variants=7)
    assert (large.shape[0], large.shape[1]) == (2 * small.shape[0], 2 * small.shape[1])
    assert augmentation_picture(examples, rows=9).shape[0] == 3 * small.shape[0]
