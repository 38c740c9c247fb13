"""Writes TFLite Metadata, by which MediaPipe, the Task Library and Android know a classifier.

Field numbers are those of metadata_schema.fbs (v1.5; tflite-support, and in MediaPipe's package);
``modelfile.tflite_metadata`` reads what is written here.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import flatbuffers
import numpy as np

from edge_classifier.core.contract import Contract, Crop, Output
from edge_classifier.modelfile.bundle import LABELS_FILE

# AssociatedFileType, ProcessUnitOptions, ContentProperties and ColorSpaceType.
_AXIS_LABELS, _NORMALIZATION, _FEATURE, _IMAGE, _RGB = 2, 1, 1, 2, 1
# The first release of the metadata parsers, which knows all fields that are used here.
_LEAST_PARSER = "1.0.0"
_NOTHING: Mapping[int, int] = MappingProxyType({})


def label_files(contract: Contract) -> dict[str, str]:
    """Names of the label files that go into the model's zip, with their texts; one a language."""
    files = {LABELS_FILE: contract.labels}
    files |= {_label_file(language): names for language, names in contract.names.items()}
    return {name: "".join(f"{label}\n" for label in labels) for name, labels in files.items()}


def metadata(contract: Contract, name: str) -> bytes:
    """What a model of ``contract``, which is to be RGB, says of itself: its buffer TFLITE_METADATA.

    Readers stretch the whole picture to the input's shape: they have no word for a crop, so that
    it is told to people, in the description of the input.
    """
    made = _Writer()
    normalization = made.table({0: made.floats(contract.mean), 1: made.floats(contract.std)})
    size = made.table({}, integers={0: contract.width, 1: contract.height})
    image = made.table({1: size}, {0: _RGB})
    given = made.table(
        {
            0: made.text("image"),
            1: made.text(_how_to_feed(contract)),
            3: made.table({1: image}, {0: _IMAGE}),
            4: made.offsets([made.table({1: normalization}, {0: _NORMALIZATION})]),
            5: made.table({0: made.floats([255.0]), 1: made.floats([0.0])}),
        }
    )
    languages = {LABELS_FILE: ""} | {_label_file(one): one for one in contract.names}
    files = [
        made.table(
            {0: made.text(file), 3: made.text(language)} if language else {0: made.text(file)},
            {2: _AXIS_LABELS},
        )
        for file, language in languages.items()
    ]
    probabilities = contract.output is Output.PROBABILITIES
    scores = made.table(
        {
            0: made.text("probability" if probabilities else "logit"),
            1: made.text("One score for each label, in the label file's order."),
            3: made.table({1: made.table({})}, {0: _FEATURE}),
            6: made.offsets(files),
        }
    )
    graph = made.table({2: made.offsets([given]), 3: made.offsets([scores])})
    about = {0: name, 1: "An image classifier, exported by edge-classifier.", 7: _LEAST_PARSER}
    root = made.table(
        {number: made.text(text) for number, text in about.items()} | {3: made.offsets([graph])}
    )
    return made.finish(root)


def _label_file(language: str) -> str:
    stem, _, suffix = LABELS_FILE.rpartition(".")
    return f"{stem}_{language}.{suffix}"


def _how_to_feed(contract: Contract) -> str:
    size = f"{contract.width} x {contract.height} pixels"
    if contract.crop is Crop.CENTER:
        share = f"{contract.crop_fraction:.1%}".replace(".0%", "%")
        return f"{size}: the middle of the picture, {share} of the largest such region's sides."
    what = {Crop.SQUASH: "stretched", Crop.LETTERBOX: "undistorted between grey bars"}
    return f"{size}: the whole picture, {what[contract.crop]}."


class _Writer:
    """A flatbuffer; each method returns the offset of what it has written."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def table(
        self,
        offsets: Mapping[int, int],
        small: Mapping[int, int] = _NOTHING,
        integers: Mapping[int, int] = _NOTHING,
    ) -> int:
        """By field numbers: offsets of parts, bytes (enums and kinds of unions), unsigned ints."""
        self._builder.StartObject(1 + max((*offsets, *small, *integers), default=0))
        for number, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(number, offset, 0)
        for number, value in small.items():
            self._builder.PrependUint8Slot(number, value, 0)
        for number, value in integers.items():
            self._builder.PrependUint32Slot(number, value, 0)
        return int(self._builder.EndObject())

    def text(self, text: str) -> int:
        return int(self._builder.CreateString(text))

    def floats(self, values: Sequence[float]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.float32)))

    def offsets(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def finish(self, root: int) -> bytes:
        self._builder.Finish(root, file_identifier=b"M001")
        return bytes(self._builder.Output())
