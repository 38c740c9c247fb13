import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.backoff import pause_s

CHANCES = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("failures", "random_share", "max_s", "expected"),
    [
        (0, 0.9, 60, 0.0),
        (1, 0.0, 60, 0.0),
        (1, 0.5, 60, 0.5),
        (2, 0.5, 60, 1.0),
        (3, 0.25, 60, 1.0),
        (6, 0.5, 60, 16.0),
        (7, 0.5, 60, 30.0),
        (1, 0.5, 0.5, 0.25),
        (1_000_000, 0.5, 60, 30.0),
    ],
)
def test_pause_after_failures_doubles_up_to_the_cap(
    failures: int, random_share: float, max_s: float, expected: float
) -> None:
    assert pause_s(failures, random_share, max_s=max_s) == pytest.approx(expected)


def test_pause_with_another_beginning_doubles_from_there() -> None:
    assert pause_s(3, 0.5, max_s=60, first_s=4) == 8


@given(st.integers(0, 10**9), CHANCES, st.floats(0.1, 3600))
def test_pause_of_any_failures_is_within_its_bounds(
    failures: int, random_share: float, max_s: float
) -> None:
    assert 0 <= pause_s(failures, random_share, max_s=max_s) <= max_s


@given(st.integers(0, 200), CHANCES)
def test_pause_with_the_same_chance_never_shrinks_with_failures(
    failures: int, random_share: float
) -> None:
    assert pause_s(failures + 1, random_share, max_s=60) >= pause_s(
        failures, random_share, max_s=60
    )
