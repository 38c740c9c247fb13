"""What all tests of this room have: a day that does not end meanwhile."""

import pytest


@pytest.fixture(autouse=True)
def _day(noon: None) -> None:
    pass
