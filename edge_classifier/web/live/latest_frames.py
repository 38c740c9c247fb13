"""The last picture of each camera, bounded in bytes."""

from collections import OrderedDict

# Bytes of all together.
MAX_FRAMES = 16_000_000


class LatestFrames:
    """One JPEG a camera, by device and camera; those that changed longest ago go first."""

    def __init__(self, most_bytes: int = MAX_FRAMES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0

    def put(self, key: tuple[str, str], jpeg: bytes) -> None:
        """Keep ``jpeg`` instead of the one before."""
        self.drop(key)
        self._kept[key] = jpeg
        self._bytes += len(jpeg)
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def get(self, key: tuple[str, str]) -> bytes | None:
        """The picture, if it is still there."""
        return self._kept.get(key)

    def drop(self, key: tuple[str, str]) -> None:
        """Forget it."""
        self._bytes -= len(self._kept.pop(key, b""))
