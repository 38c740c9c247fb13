"""Contracts and metadata that are wrong are refused, or count as none, with key and reason."""

import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.errors import (
    ContractError,
    ExitCode,
)
from edge_classifier.modelfile.bundle import append_bundle
from edge_classifier.modelfile.catalogue import Catalogue
from edge_classifier.modelfile.flatbuffer import FlatbufferError
from edge_classifier.modelfile.tflite_metadata import read_tflite_metadata
from tests.modelfile.model_files import LABELS, STATED, catalogue, contract_text, load
from tests.tiny import Tiny, build, metadata


@pytest.mark.parametrize(
    ("names", "outputs", "first", "note"),
    [
        (1000, 1001, "background", "output 0 is taken as background"),
        (1001, 1000, "name 1", "the label background has no output: dropped"),
    ],
)
def test_labels_that_differ_by_the_background_alone_are_mended_and_told(
    names: int, outputs: int, first: str, note: str, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(classes=outputs))
    lines = ["tench", *(f"name {index}" for index in range(1, names))]
    if names > outputs:
        lines[0] = "background"
    append_bundle(path, {"labels.txt": "\n".join(lines)})

    resolved = load(path).resolved

    assert len(resolved.contract.labels) == outputs
    assert resolved.contract.labels[0] == first
    assert resolved.contract.labels[-1] == f"name {names - 1}"
    assert note in resolved.notes


def test_contract_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(size=(8, 12)))
    append_bundle(path, {"contract.json": contract_text(8), "labels.txt": LABELS})

    with pytest.raises(ContractError, match=r"8 x 8 pixels, its input is 12 x 8"):
        load(path)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"colour": "rgb"}, "colour is not a known key"),
    ({"std": [1, 0, 1]}, "std"),
    ({"mean": [1, 2]}, "a list of three numbers"),
    ({"mean": [float("nan")] * 3}, "mean and std must lie"),
    ({"mean": [10**400, 0, 0]}, "mean"),
    ({"crop": "circle"}, "one of center, squash, letterbox"),
    ({"width": "8"}, "a whole number"),
    ({"width": 10**400}, "width"),
]


WRONG_IN_A_FILE: list[tuple[dict[str, Any], str]] = [
    *WRONG,
    ({"version": 2}, "version is 2"),
    ({"names": {"de": ["rot"]}}, "names.de has 1 names for 3 labels"),
    ({"names": {"de": ["\ud800"] * 3}}, "names"),  # Half a character: it cannot be printed.
]


def require_refused(said: str, path: Path, known: Catalogue | None = None) -> None:
    with pytest.raises(ContractError) as caught:
        load(path, known)
    assert said in caught.value.problem
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(("change", "said"), WRONG_IN_A_FILE)
@pytest.mark.parametrize("inside", [True, False])
def test_contract_that_is_wrong_is_refused_with_key_and_reason(
    inside: bool, change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite")
    text = contract_text(**change)
    if inside:
        append_bundle(path, {"contract.json": text, "labels.txt": LABELS})
    else:
        (tmp_path / "tiny.contract.json").write_text(text)
        (tmp_path / "tiny.labels.txt").write_text(LABELS)

    require_refused(said, path)


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_contract_in_the_catalogue_that_is_wrong_is_refused_with_key_and_reason(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite")

    require_refused(said, path, catalogue(path, {"width": 8, "height": 8, **change}))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "[" * 100_000, '{"version": 1}'])
def test_contract_that_is_no_contract_is_refused(text: str, tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"contract.json": text, "labels.txt": LABELS})

    with pytest.raises(ContractError, match="is not a valid contract"):
        load(path)


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ((0,), (0,)),
        ((0,), (-1,)),
        ((float("nan"),), (1,)),
        ((0,), (float("inf"),)),
        ((1e30,), (1,)),
    ],
)
def test_metadata_with_impossible_numbers_counts_as_none(
    mean: tuple[float, ...], std: tuple[float, ...], tmp_path: Path
) -> None:
    """A deviation of 0 would make every pixel the same, whatever the picture."""
    path = build(tmp_path / "tiny.tflite", Tiny(metadata=metadata(mean, std)))

    assert load(path).resolved.preprocessing_from == "assumed"


@pytest.mark.parametrize("values", [(1.0, 2.0), ()])
def test_metadata_of_another_channel_count_counts_as_none(
    values: tuple[float, ...], tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(metadata=metadata(values, values)))

    assert load(path).resolved.preprocessing_from == "assumed"


def test_metadata_that_is_damaged_counts_as_none(tmp_path: Path) -> None:
    """The runtime has loaded the model; only its description is lost."""
    stated = metadata(STATED, (128, 128, 128))
    path = build(tmp_path / "tiny.tflite", Tiny(metadata=b"\xff\xff\xff\x7f" + stated[4:]))

    with pytest.raises(FlatbufferError):
        read_tflite_metadata(path)
    assert load(path).resolved.preprocessing_from == "assumed"


@pytest.mark.parametrize(
    ("entries", "shared_name"), [(500_000, 100), (65_000, 65_000), (500_000, 500_000)]
)
def test_metadata_of_many_entries_that_share_their_bytes_is_read_in_bounded_time(
    entries: int, shared_name: int, tmp_path: Path
) -> None:
    """A few megabytes whose many tables are one and the same long text."""
    name_at = 64 + 4 * entries
    words = bytearray(name_at + 8 + shared_name)

    def put(at: int, layout: str, *values: int | bytes) -> None:
        struct.pack_into(layout, words, at, *values)

    put(0, "<I4s", 8, b"TFL3")
    put(8, "<i", -12)  # The model's table; its list of fields follows.
    put(12, "<I", 48 - 12)
    put(20, "<9H", 18, 8, *[0] * 6, 4)  # Only field 6 is there: metadata.
    put(40, "<3H", 6, 8, 4)  # Fields of an entry: the name.
    table_at = name_at - 8
    put(table_at, "<i", table_at - 40)
    put(table_at + 4, "<I", 4)
    put(name_at, "<I", shared_name)
    for at in range(52, table_at - 3, 4):
        put(at, "<I", table_at - at)
    put(48, "<I", (table_at - 52) // 4)
    path = tmp_path / "slow.tflite"
    path.write_bytes(bytes(words))

    started = time.thread_time()
    with suppress(FlatbufferError):
        read_tflite_metadata(path)

    assert time.thread_time() - started < 5
