"""Reads TFLite Metadata: the normalization and the label file that a model's author stated.

The runtime ships no reader for it, and tflite-support, which does, ended with Python 3.11. The
two schemas' field numbers are those of tensorflow/lite/schema/schema.fbs (v3) and
tflite-support's metadata_schema.fbs (v1.5).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.core.contract import Triple

_METADATA_NAME = "TFLITE_METADATA"
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions
_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
_MOST_TABLES = 65_536
# Far above any model's. Tables may share their bytes, so a file of megabytes could otherwise hold
# hours of text.
_LONGEST_TEXT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class TfliteMetadata:
    """What of a model's metadata a classifier needs; None and empty: not stated."""

    mean: Triple | None = None
    std: Triple | None = None
    # Pairs of file name in the appended zip and locale, the unlocalised one first.
    label_files: tuple[tuple[str, str], ...] = ()


class FlatbufferError(ValueError):
    """An offset points outside the file."""


class _Table:
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
        start, count = self._vector(number)
        if start + count > len(self._data):
            raise FlatbufferError("a vector ends outside the file")
        return self._data[start : start + count]

    def text(self, number: int) -> str:
        if self._vector(number)[1] > _LONGEST_TEXT_BYTES:
            raise FlatbufferError("a text is too long")
        return self.raw(number).decode("utf-8", "replace")

    def floats(self, number: int) -> tuple[float, ...]:
        start, count = self._vector(number)
        if start + 4 * count > len(self._data):
            raise FlatbufferError("a vector ends outside the file")
        return struct.unpack_from(f"<{count}f", self._data, start)

    def table(self, number: int) -> "_Table | None":
        at = self._field(number)
        return None if at is None else _Table(self._data, at + _read(self._data, "<I", at))

    def tables(self, number: int) -> Iterator["_Table"]:
        start, count = self._vector(number)
        if count > _MOST_TABLES or start + 4 * count > len(self._data):
            raise FlatbufferError("a vector ends outside the file, or has too many tables")
        for at in range(start, start + 4 * count, 4):
            yield _Table(self._data, at + _read(self._data, "<I", at))


def _read(data: bytes, layout: str, position: int) -> int:
    if position < 0:
        raise FlatbufferError("an offset points before the file")
    try:
        value: int = struct.unpack_from(layout, data, position)[0]
    except struct.error as error:
        raise FlatbufferError("an offset points outside the file") from error
    return value


def _root(data: bytes) -> _Table:
    return _Table(data, _read(data, "<I", 0))


def read_tflite_metadata(path: Path) -> TfliteMetadata | None:
    """The metadata of the model at ``path``; None when it carries none.

    Raises FlatbufferError when the file's offsets are broken.
    """
    data = path.read_bytes()
    model = _root(data)
    for entry in model.tables(6):  # Model.metadata
        if entry.text(0) == _METADATA_NAME:
            buffers = list(model.tables(4))  # Model.buffers
            number = entry.scalar(1, "<I")  # Metadata.buffer
            if number >= len(buffers):
                raise FlatbufferError("the metadata's buffer is missing")
            return _parse(buffers[number].raw(0))
    return None


def _parse(data: bytes) -> TfliteMetadata:
    model = _root(data)
    mean, std = None, None
    label_files: list[tuple[str, str]] = []
    for subgraph in list(model.tables(3))[:1]:  # ModelMetadata.subgraph_metadata
        for tensor in list(subgraph.tables(2))[:1]:  # input_tensor_metadata
            mean, std = _normalization(tensor)
        for tensor in list(subgraph.tables(3))[:1]:  # output_tensor_metadata
            label_files = [
                (file.text(0), file.text(3))  # AssociatedFile.name, .locale
                for file in tensor.tables(6)  # TensorMetadata.associated_files
                if file.scalar(2, "<b") == _AXIS_LABELS
            ]
    label_files.sort(key=lambda pair: pair[1] != "")
    return TfliteMetadata(mean, std, tuple(label_files))


def _normalization(tensor: _Table) -> tuple[Triple | None, Triple | None]:
    for unit in tensor.tables(4):  # TensorMetadata.process_units
        options = unit.table(1)  # ProcessUnit.options
        if unit.scalar(0, "<B") == _NORMALIZATION and options is not None:
            mean, std = _triple(options.floats(0)), _triple(options.floats(1))
            # Damaged files hold any number, and no number: no network was trained with those.
            if mean and std and min(std) > 0 and all(abs(value) < 1e6 for value in mean + std):
                return mean, std
            return None, None
    return None, None


def _triple(values: tuple[float, ...]) -> Triple | None:
    """One value stands for all three channels, as the metadata schema says."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    if len(values) == 3:
        return values[0], values[1], values[2]
    return None
