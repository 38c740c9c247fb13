"""Chinese names of labels, for pieces of pages that are drawn often."""

import time
from collections.abc import Callable

from edge_classifier.web.models import Label

_KEPT_S = 60.0
_MOST = 5000


class ChineseLabels:
    """The names in the database, looked up at most once a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read_at: float | None = None
        self._names: dict[str, str] = {}

    def of(self, label: str) -> str:
        """The label's Chinese name; empty if there is none."""
        now = self._clock()
        if self._read_at is None or now - self._read_at > _KEPT_S:
            self._read_at = now
            known = Label.objects.exclude(chinese="").values_list("name", "chinese")
            self._names = dict(known[:_MOST])
        return self._names.get(label, "")
