"""The last pictures of all cameras, bounded by bytes."""

from collections import OrderedDict

MOST_BYTES = 16_000_000
# Device and camera.
Key = tuple[str, str]


class LatestFrames:
    """One JPEG a camera; those that changed longest ago go first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0

    def put(self, key: Key, jpeg: bytes) -> None:
        """Keep ``jpeg`` instead of the one before."""
        self.drop(key)
        self._kept[key] = jpeg
        self._bytes += len(jpeg)
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def get(self, key: Key) -> bytes | None:
        """The picture, if it is still there."""
        return self._kept.get(key)

    def drop(self, key: Key) -> None:
        """Forget it."""
        self._bytes -= len(self._kept.pop(key, b""))
