"""Keys of records, as addresses and forms carry them."""

from collections.abc import Iterable
from uuid import UUID


def keys_in(texts: Iterable[str]) -> list[UUID]:
    """Those of ``texts`` that can be the key of a record, in their order."""
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
