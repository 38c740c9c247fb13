"""What the records of a camera say of the time in which its label was unknown."""

from datetime import timedelta

import pytest

from edge_classifier.web.rollouts import evidence
from tests.web import making
from tests.web.rollouts.fleet import START

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("earlier", [0, 3])
def test_camera_that_changes_all_the_time_is_judged_by_the_spells_that_are_read(
    earlier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not as if the last of these had lasted until the end."""
    monkeypatch.setattr(evidence, "_MOST_SPELLS", 4)
    camera = making.camera("front")
    for second in range(-earlier, 12):
        label = "unknown" if second % 2 else "cat"
        making.event(label, at=START + timedelta(seconds=second), camera=camera)
    found = evidence.unknown_time(camera, (START, START + timedelta(hours=1)))
    assert (found.seconds, found.unknown_s, found.spells) == (4, 2, 4)
