"""What is judged of a few pictures holds for the many that come."""

import numpy as np
import pytest

from edge_classifier.evaluation.unknown import lead_of_most


def test_of_no_pictures_nothing_is_asked() -> None:
    assert lead_of_most(np.empty(0, np.float32), 0.01) == 0


@pytest.mark.parametrize("share", [0.005, 0.01, 0.1])
def test_about_the_share_of_many_pictures_has_less(share: float) -> None:
    lead = np.random.default_rng(5).normal(30, 20, 20_000)
    assert (lead < lead_of_most(lead, share)).mean() == pytest.approx(share, rel=0.25)


def test_pictures_that_are_all_far_ahead_are_not_all_that_will_come() -> None:
    """None of fifty is lost, and yet it is not said that none of a thousand would be."""
    assert lead_of_most(np.full(50, 10.0), 0.005) < 10 - 2
    assert lead_of_most(np.full(50, 10.0), 0.005) < lead_of_most(np.full(50, 10.0), 0.05)


def test_more_of_all_leads_is_more() -> None:
    lead = np.random.default_rng(7).normal(2, 4, 300)
    assert lead_of_most(lead + 3, 0.01) == pytest.approx(lead_of_most(lead, 0.01) + 3, abs=1e-6)
