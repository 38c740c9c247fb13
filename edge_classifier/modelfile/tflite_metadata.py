"""Reads TFLite Metadata: the normalization and the label file that a model's author stated.

The runtime ships no reader for it, and tflite-support, which does, ended with Python 3.11. The
two schemas' field numbers are those of tensorflow/lite/schema/schema.fbs (v3) and
tflite-support's metadata_schema.fbs (v1.5).
"""

from dataclasses import dataclass
from pathlib import Path

from edge_classifier.core.contract import Triple
from edge_classifier.modelfile.flatbuffer import FlatbufferError, Table, root_table

_METADATA_NAME = "TFLITE_METADATA"
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions
_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS


@dataclass(frozen=True, slots=True)
class TfliteMetadata:
    """What of a model's metadata a classifier needs; None and empty: not stated."""

    mean: Triple | None = None
    std: Triple | None = None
    # Pairs of file name in the appended zip and locale, the unlocalised one first.
    label_files: tuple[tuple[str, str], ...] = ()


def read_tflite_metadata(path: Path) -> TfliteMetadata | None:
    """The metadata of the model at ``path``; None when it carries none.

    Raises FlatbufferError when the file's offsets are broken.
    """
    data = path.read_bytes()
    model = root_table(data)
    entries = model.tables(6)  # Model.metadata
    entry = next((one for one in entries if one.text(0) == _METADATA_NAME), None)
    if entry is None:
        return None
    buffers = list(model.tables(4))  # Model.buffers
    number = entry.scalar(1, "<I")  # Metadata.buffer
    if number >= len(buffers):
        raise FlatbufferError("the metadata's buffer is missing")
    metadata = root_table(buffers[number].raw(0))
    mean, std = None, None
    label_files: list[tuple[str, str]] = []
    for subgraph in list(metadata.tables(3))[:1]:  # ModelMetadata.subgraph_metadata
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


def _normalization(tensor: Table) -> tuple[Triple | None, Triple | None]:
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
