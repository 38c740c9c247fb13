"""The cache is bounded, and for one base alone."""

import os
from pathlib import Path

import numpy as np

from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.facts import PictureFacts
from edge_classifier.teach.base import open_base
from edge_classifier.teach.feature_cache import FeatureCache
from tests.teach.lessons import tiny_base


def test_pictures_that_were_used_last_are_kept(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", tiny_base(tmp_path), most=3)
    for number in range(6):
        sha256 = f"{number:064x}"
        cache.store(PictureFacts(64, 64, sha256, number), np.full((1, 3), number, np.int8))
        path = next(tmp_path.glob(f"cache/*/*/{sha256}.features"))
        os.utime(path, (number, number))
    # Reading is using.
    assert cache.load(f"{0:064x}", 1) is not None
    cache.forget_oldest()
    kept = [n for n in range(6) if cache.load(f"{n:064x}", 1) is not None]
    assert kept == [0, 4, 5]
    facts, features = cache.load(f"{5:064x}", 1) or (None, None)
    assert facts == PictureFacts(64, 64, f"{5:064x}", 5)
    assert features is not None
    assert features.tolist() == [[5, 5, 5]]


def test_features_of_another_base_are_not_taken(tmp_path: Path) -> None:
    sha256 = "ab" * 32
    cache = FeatureCache(tmp_path, tiny_base(tmp_path))
    cache.store(PictureFacts(64, 64, sha256, 1), np.zeros((1, 3), np.int8))
    assert cache.load(sha256, 1) is not None
    # It was looked at once, and is to be looked at twice.
    assert cache.load(sha256, 2) is None
    assert FeatureCache(tmp_path, open_base("flowers")).load(sha256, 1) is None


def test_note_on_a_picture_can_still_be_told_in_other_languages(tmp_path: Path) -> None:
    cache, features = FeatureCache(tmp_path, tiny_base(tmp_path)), np.zeros((1, 3), np.int8)
    note = Sentence("animated: the first of {frames} frames", frames=3)
    cache.store(PictureFacts(64, 64, "ab" * 32, 1, "", note), features)
    facts, _ = cache.load("ab" * 32, 1) or (None, None)
    assert facts is not None
    assert isinstance(facts.note, Sentence)
    assert (facts.note, facts.note.values) == (note, {"frames": 3})
    # What an earlier version has written is a bare text: the picture is read again.
    cache.store(PictureFacts(64, 64, "cd" * 32, 1, "", str(note)), features)
    assert cache.load("cd" * 32, 1) is None
