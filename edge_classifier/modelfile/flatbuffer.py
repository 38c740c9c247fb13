"""Reads tables of a flatbuffer by their fields' numbers, distrusting every offset.

The runtime hands out neither the metadata nor the constants of a model's graph.
"""

import struct
from collections.abc import Iterator

_MOST_TABLES = 65_536
# Far above any model's. Tables may share their bytes, so a file of megabytes could otherwise hold
# hours of text.
_LONGEST_TEXT_BYTES = 65_536


class FlatbufferError(ValueError):
    """An offset points outside the file."""


class Table:
    """A flatbuffer table; fields are numbered as in its schema (FlatBuffers internals guide)."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        vtable = position - _read(data, "<i", position)
        self._vtable = vtable
        self._vtable_size = _read(data, "<H", vtable)

    def _field(self, number: int) -> int | None:
        slot = 4 + 2 * number
        if slot + 2 > self._vtable_size:
            return None
        offset = _read(self._data, "<H", self._vtable + slot)
        return self._position + offset if offset else None

    def scalar(self, number: int, layout: str) -> int:
        """A number in the ``struct`` layout; 0 where it is absent."""
        at = self._field(number)
        return 0 if at is None else _read(self._data, layout, at)

    def _vector(self, number: int) -> tuple[int, int]:
        """First byte and count of a vector's elements; 0 elements when it is absent."""
        at = self._field(number)
        if at is None:
            return 0, 0
        at += _read(self._data, "<I", at)
        return at + 4, _read(self._data, "<I", at)

    def raw(self, number: int) -> bytes:
        """A vector of bytes."""
        start, count = self._vector(number)
        if start + count > len(self._data):
            raise FlatbufferError("a vector ends outside the file")
        return self._data[start : start + count]

    def text(self, number: int) -> str:
        """A text."""
        if self._vector(number)[1] > _LONGEST_TEXT_BYTES:
            raise FlatbufferError("a text is too long")
        return self.raw(number).decode("utf-8", "replace")

    def floats(self, number: int) -> tuple[float, ...]:
        """A vector of float32."""
        start, count = self._vector(number)
        if start + 4 * count > len(self._data):
            raise FlatbufferError("a vector ends outside the file")
        return struct.unpack_from(f"<{count}f", self._data, start)

    def integers(self, number: int, layout: str = "i") -> tuple[int, ...]:
        """A vector of integers, each in the ``struct`` layout."""
        start, count = self._vector(number)
        if start + struct.calcsize(layout) * count > len(self._data):
            raise FlatbufferError("a vector ends outside the file")
        return struct.unpack_from(f"<{count}{layout}", self._data, start)

    def table(self, number: int) -> "Table | None":
        """A table; None where it is absent."""
        at = self._field(number)
        return None if at is None else Table(self._data, at + _read(self._data, "<I", at))

    def tables(self, number: int) -> Iterator["Table"]:
        """A vector of tables."""
        start, count = self._vector(number)
        if count > _MOST_TABLES or start + 4 * count > len(self._data):
            raise FlatbufferError("a vector ends outside the file, or has too many tables")
        for at in range(start, start + 4 * count, 4):
            yield Table(self._data, at + _read(self._data, "<I", at))


def _read(data: bytes, layout: str, position: int) -> int:
    if position < 0:
        raise FlatbufferError("an offset points before the file")
    try:
        value: int = struct.unpack_from(layout, data, position)[0]
    except struct.error as error:
        raise FlatbufferError("an offset points outside the file") from error
    return value


def root_table(data: bytes) -> Table:
    """The table that a flatbuffer begins with."""
    return Table(data, _read(data, "<I", 0))
