"""What all tests of records have: a day that does not end meanwhile."""

import pytest
from django.utils import timezone


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's clock goes on from noon: no day begins between two steps of a test."""
    now = timezone.now
    ahead = timezone.localtime().replace(hour=12, minute=0) - now()
    monkeypatch.setattr(timezone, "now", lambda: now() + ahead)
