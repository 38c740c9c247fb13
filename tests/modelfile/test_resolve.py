"""Where a model's preprocessing and labels come from, with real files in every combination."""

import json
import os
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.contract import Contract, Crop, Output
from edge_classifier.core.frame import Frame
from edge_classifier.errors import (
    ContractError,
    EdgeClassifierError,
    ExitCode,
    MissingFileError,
    ModelError,
)
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.modelfile.bundle import append_bundle, read_bundle
from edge_classifier.modelfile.catalogue import Catalogue, Entry, sha256_of
from edge_classifier.modelfile.flatbuffer import FlatbufferError
from edge_classifier.modelfile.resolve import ContractOverrides
from edge_classifier.modelfile.tflite_metadata import read_tflite_metadata
from tests.tiny import COLOURS, Tiny, build, metadata
from tests.vision.test_pictures import as_ordinary_user, closed_folder

LABELS = "\n".join(COLOURS)
OWN, CATALOGUED, SIDE_CAR = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0)
# A mean for each place that one can come from, so that tests see which was taken.
STATED = (120.0, 121.0, 122.0)


def contract_text(size: int = 8, **changes: Any) -> str:
    data = json.loads(Contract(size, size, mean=OWN).to_json()) | changes
    return json.dumps(data)


def catalogue(path: Path | None = None, contract: Mapping[str, Any] | None = None) -> Catalogue:
    """A catalogue that knows the file at ``path``, or nothing."""
    entries = (
        (
            Entry(
                "known",
                path.name,
                "t",
                (8, 8),
                "l",
                "s",
                sha256=sha256_of(path),
                contract=contract or {},
            ),
        )
        if path
        else ()
    )
    return Catalogue("none", entries, Path("none"), Path("none"))


def load(path: Path, known: Catalogue | None = None, **overrides: Any) -> LoadedModel:
    choice = ModelChoice(str(path), "cpu", ContractOverrides(**overrides))
    return load_model(choice, catalogue=known or catalogue(), check=lambda _: None)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A model with metadata and with every file beside it that could be asked."""
    stated = metadata(STATED, (128, 128, 128), [("stated.txt", "")])
    path = build(tmp_path / "tiny.tflite", Tiny(metadata=stated))
    (tmp_path / "tiny.contract.json").write_text(contract_text(mean=list(SIDE_CAR)))
    (tmp_path / "tiny.labels.txt").write_text("side red\nside green\nside blue\n")
    return path


def test_contract_inside_the_model_comes_before_metadata_and_catalogue(full: Path) -> None:
    full.with_suffix(".contract.json").unlink()
    append_bundle(full, {"contract.json": contract_text(), "labels.txt": LABELS})
    known = catalogue(full, {"width": 8, "height": 8, "mean": list(CATALOGUED)})

    resolved = load(full, known).resolved

    assert resolved.contract.mean == OWN
    assert resolved.contract.labels == COLOURS
    assert resolved.preprocessing_from == f"{full} (contract.json)"
    assert resolved.labels_from == "labels.txt in the model"
    assert resolved.notes == ()


def test_side_car_comes_before_what_is_inside(full: Path) -> None:
    names = {"de": ["rot", "grün", "blau"]}
    append_bundle(full, {"contract.json": contract_text(names=names), "labels.txt": LABELS})

    resolved = load(full).resolved

    assert resolved.contract.mean == SIDE_CAR
    assert resolved.contract.labels == ("side red", "side green", "side blue")
    assert resolved.preprocessing_from == str(full.with_suffix(".contract.json"))


def test_side_car_without_labels_leaves_those_inside(full: Path) -> None:
    full.with_suffix(".labels.txt").unlink()
    append_bundle(full, {"contract.json": contract_text(), "labels.txt": LABELS})

    resolved = load(full).resolved

    assert resolved.contract.mean == SIDE_CAR
    assert resolved.contract.labels == COLOURS


def test_metadata_comes_before_assumptions(full: Path) -> None:
    full.with_suffix(".contract.json").unlink()
    append_bundle(full, {"stated.txt": LABELS, "other.txt": "something else"})

    resolved = load(full).resolved

    assert resolved.contract.mean == STATED
    assert resolved.contract.labels == COLOURS
    assert resolved.preprocessing_from == "TFLite metadata in the model"
    assert resolved.labels_from == "stated.txt in the model"


def test_side_car_comes_before_the_catalogue(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / "tiny.contract.json").write_text(contract_text(mean=list(SIDE_CAR)))
    (tmp_path / "tiny.labels.txt").write_text(LABELS)
    known = catalogue(path, {"width": 8, "height": 8, "mean": list(CATALOGUED)})

    resolved = load(path, known).resolved

    assert resolved.contract.mean == SIDE_CAR
    assert resolved.contract.labels == COLOURS
    assert resolved.preprocessing_from == str(tmp_path / "tiny.contract.json")
    assert resolved.labels_from == str(tmp_path / "tiny.labels.txt")


def test_catalogue_comes_before_assumptions(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    known = catalogue(path, {"width": 8, "height": 8, "mean": list(CATALOGUED), "crop": "squash"})

    loaded = load(path, known)

    assert loaded.name == "known"
    assert loaded.resolved.contract.mean == CATALOGUED
    assert loaded.resolved.contract.crop is Crop.SQUASH
    assert loaded.resolved.preprocessing_from == "catalogue"
    assert loaded.resolved.notes == ("no label names: classes are numbered",)


@pytest.mark.parametrize(
    ("tiny", "mean", "std", "why"),
    [
        (Tiny("uint8"), 128.0, 128.0, "raw pixels"),
        (Tiny("int8"), 128.0, 128.0, "raw pixels"),
        (Tiny("float32"), 127.5, 127.5, "inputs from -1 to 1"),
        (Tiny("uint8", scale=2 / 255), 127.5, 127.5, "inputs from -1 to 1"),
        (Tiny("uint8", scale=1 / 255, zero_point=0), 0.0, 255.0, "inputs from 0 to 1"),
        (Tiny("uint8", scale=1.0, zero_point=0), 0.0, 1.0, "inputs from 0 to 255"),
        (Tiny("int8", scale=1.0, zero_point=-128), 0.0, 1.0, "inputs from 0 to 255"),
        (Tiny("uint8", scale=0.0187, zero_point=114), 123.675, 58.395, "ImageNet mean"),
    ],
)
def test_model_that_says_nothing_is_assumed_from_its_input_and_told(
    tiny: Tiny, mean: float, std: float, why: str, tmp_path: Path
) -> None:
    resolved = load(build(tmp_path / "silent.tflite", tiny)).resolved

    assert resolved.preprocessing_from == "assumed"
    assert resolved.contract.mean[0] == mean
    assert resolved.contract.std[0] == std
    assert any("silent.tflite does not say" in note and why in note for note in resolved.notes)


@pytest.mark.parametrize(
    ("labels", "origin"),
    [
        ("tiny.labels.txt", "tiny.labels.txt"),
        ("tiny_labels.txt", "tiny_labels.txt"),
        ("tiny.txt", "tiny.txt"),
        ("labels.txt", "labels.txt"),
    ],
)
def test_labels_beside_the_model_are_found_under_each_usual_name(
    labels: str, origin: str, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / labels).write_text(LABELS)

    resolved = load(path).resolved

    assert resolved.contract.labels == COLOURS
    assert resolved.labels_from == str(tmp_path / origin)


def test_labels_of_the_only_text_file_in_the_model_are_taken(tmp_path: Path) -> None:
    """As Google's files have them, under any name."""
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"flowers.txt": "0  red\n1  green\n2  blue\n"})

    resolved = load(path).resolved

    assert resolved.contract.labels == COLOURS
    assert resolved.labels_from == "flowers.txt in the model"


def test_several_unnamed_text_files_in_the_model_are_not_guessed_between(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"one.txt": LABELS, "two.txt": LABELS})

    assert load(path).resolved.labels_from == "none"


def test_unlocalised_label_file_is_preferred(tmp_path: Path) -> None:
    stated = metadata(STATED, (128, 128, 128), [("german.txt", "de"), ("plain.txt", "")])
    path = build(tmp_path / "tiny.tflite", Tiny(metadata=stated))
    append_bundle(path, {"german.txt": "rot\ngrün\nblau", "plain.txt": LABELS})

    assert load(path).resolved.contract.labels == COLOURS


def test_labels_option_replaces_labels_and_their_names(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    text = contract_text(names={"de": ["rot", "grün", "blau"]})
    append_bundle(path, {"contract.json": text, "labels.txt": LABELS})
    mine = tmp_path / "mine.txt"
    mine.write_text("mine a\nmine b\nmine c\n")

    resolved = load(path, labels=mine).resolved

    assert resolved.contract.labels == ("mine a", "mine b", "mine c")
    assert dict(resolved.contract.names) == {}
    assert resolved.labels_from == str(mine)
    assert resolved.contract.mean == OWN


def test_crop_option_replaces_the_contracts(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"contract.json": contract_text(), "labels.txt": LABELS})

    assert load(path, crop=Crop.LETTERBOX).resolved.contract.crop is Crop.LETTERBOX


@pytest.mark.parametrize("content", [None, b"red\ngr\xfcn\nblue"])
def test_labels_option_that_cannot_be_read_raises(content: bytes | None, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    if content is not None:
        mine.write_bytes(content)

    with pytest.raises(MissingFileError if content is None else ContractError) as caught:
        load(build(tmp_path / "tiny.tflite"), labels=mine)

    assert caught.value.subject == str(mine)


def test_names_in_several_languages_are_given_in_the_wanted_one(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    names = {"de": ["rot", "grün", "blau"], "zh": ["红", "绿", "蓝"]}
    # The mean and deviation that tiny models are built for, so that they see right.
    text = contract_text(names=names, mean=[128.0] * 3, std=[128.0] * 3)
    append_bundle(path, {"contract.json": text, "labels.txt": LABELS})
    loaded = load(path)
    pixels = np.full((8, 8, 3), (10, 240, 10), np.uint8)

    said = [
        loaded.classifier(AnswerOptions(1, language=language))
        .classify(Frame(pixels))
        .predictions[0]
        .label
        for language in ("en", "de", "zh-CN", "fr")
    ]

    assert said == ["green", "grün", "绿", "green"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_labels_of_another_count_are_refused(count: int, tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(classes=7))
    append_bundle(path, {"labels.txt": "\n".join(f"name {i}" for i in range(count))})

    with pytest.raises(ContractError, match=f"{count} labels for 7 outputs") as caught:
        load(path)

    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert "--labels" in caught.value.remedy


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


@pytest.mark.parametrize(
    ("tiny", "output"),
    [
        (Tiny(), Output.PROBABILITIES),
        (Tiny("float32"), Output.PROBABILITIES),
        (Tiny(dequantize=True), Output.PROBABILITIES),
        (Tiny(softmax=False), Output.LOGITS),
        (Tiny("float32", softmax=False), Output.LOGITS),
        (Tiny(dequantize=True, softmax=False), Output.LOGITS),
    ],
)
@pytest.mark.parametrize("stated", [b"", metadata((128,), (128,))])
def test_logits_are_told_from_probabilities_and_said(
    stated: bytes, tiny: Tiny, output: Output, tmp_path: Path
) -> None:
    fields = {name: getattr(tiny, name) for name in ("dtype", "softmax", "dequantize")}
    path = build(tmp_path / "tiny.tflite", Tiny(**fields, metadata=stated))

    resolved = load(path).resolved

    told = [note for note in resolved.notes if "softmax is applied" in note]
    assert resolved.contract.output is output
    assert len(told) == (output is Output.LOGITS)
    assert all("FULLY_CONNECTED" in note for note in told)


def test_model_card_inside_the_model_is_given(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    members = {"contract.json": contract_text(), "labels.txt": LABELS, "model_card.md": "# Über"}
    append_bundle(path, members)

    assert load(path).resolved.card == "# Über"
    assert set(read_bundle(path)) == set(members)


def test_bundle_of_the_same_members_is_the_same_bytes(tmp_path: Path) -> None:
    one, two = (build(tmp_path / name) for name in ("one.tflite", "two.tflite"))
    for path in (one, two):
        append_bundle(path, {"labels.txt": LABELS, "contract.json": contract_text()})

    assert one.read_bytes() == two.read_bytes()


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"contract.json": contract_text(), "labels.txt": LABELS * 50})
    return path


def central(data: bytes | bytearray) -> int:
    """Where the first entry of the zip's central directory begins."""
    return data.index(b"PK\x01\x02")


@pytest.mark.parametrize(
    ("offset", "layout", "value"),
    [
        (10, "<H", 99),  # a compression method that does not exist
        (8, "<H", 1),  # encrypted
        (16, "<I", 12_345),  # another checksum
        (42, "<I", 1 << 30),  # where the member lies
        (6, "<H", 0xFF),  # version needed
    ],
)
def test_damaged_zip_in_the_model_is_refused(
    offset: int, layout: str, value: int, bundled: Path
) -> None:
    data = bytearray(bundled.read_bytes())
    struct.pack_into(layout, data, central(data) + offset, value)
    bundled.write_bytes(bytes(data))

    with pytest.raises(ModelError, match="zip with its labels is damaged") as caught:
        load(bundled)

    assert caught.value.subject == str(bundled)


def test_zip_that_claims_to_span_disks_is_refused(bundled: Path) -> None:
    """Python's own test for a zip raises on this one, or says that it is none, as versions go."""
    data = bundled.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 7, 0, 9)
    bundled.write_bytes(data[:end] + locator + data[end:])

    with pytest.raises(ModelError, match="zip with its labels is damaged"):
        load(bundled)


def test_zip_whose_member_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"labels.txt": "x" * 8_000_001})

    with pytest.raises(ModelError, match="too large to be labels"):
        load(path)


_PEAK = """
import resource, sys
from pathlib import Path
from edge_classifier.errors import ModelError
from edge_classifier.modelfile.bundle import read_bundle
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_bundle(Path(sys.argv[1]))
except ModelError as error:
    print(error.problem, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("method", ["ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA"])
def test_zip_whose_member_lies_about_its_size_is_refused_in_little_memory(
    method: str, tmp_path: Path
) -> None:
    """120 MB of zeros that call themselves 10 bytes."""
    path = build(tmp_path / "tiny.tflite")
    with zipfile.ZipFile(path, "a", getattr(zipfile, method)) as archive:
        archive.writestr("labels.txt", bytes(120_000_000))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, central(data) + 24, 10)
    path.write_bytes(bytes(data))

    done = subprocess.run(
        [sys.executable, "-c", _PEAK, path],
        capture_output=True,
        check=True,
        env=dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2])),
    )

    assert b"zip" in done.stderr
    assert int(done.stdout) < 48_000


def test_file_without_a_zip_has_no_members(tmp_path: Path) -> None:
    assert read_bundle(build(tmp_path / "tiny.tflite")) == {}


def test_model_whose_name_is_too_long_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EdgeClassifierError):
        load(tmp_path / ("x" * 300 + ".tflite"))


def test_model_in_a_folder_that_must_not_be_searched_is_reported() -> None:
    """As an error of this project with its exit code, not as a bug."""
    with closed_folder() as closed, as_ordinary_user(), pytest.raises(EdgeClassifierError):
        catalogue().locate(str(closed / "tiny.tflite"))


def test_models_of_google_say_their_normalization_and_labels(shared: Path) -> None:
    """Google's own files carry TFLite metadata and a label file."""
    path = shared / "models" / "mobilenet_v2_1.0_224_quant.tflite"

    stated = read_tflite_metadata(path)
    resolved = load(path).resolved

    assert stated is not None
    assert (stated.mean, stated.std) == ((127.5,) * 3, (127.5,) * 3)
    assert stated.label_files == (("imagenet_labels.txt", ""),)
    assert resolved.preprocessing_from == "TFLite metadata in the model"
    assert resolved.labels_from == "imagenet_labels.txt in the model"
    assert len(resolved.contract.labels) == 1001
    assert resolved.contract.labels[0] == "background"
    assert resolved.contract.output is Output.PROBABILITIES
    (note,) = resolved.notes
    assert "does not say how pictures are cropped" in note


def test_model_of_googles_birds_has_its_labels(shared: Path) -> None:
    resolved = load(shared / "models" / "mobilenet_v2_1.0_224_inat_bird_quant.tflite").resolved

    assert len(resolved.contract.labels) == 965
    assert resolved.preprocessing_from == "TFLite metadata in the model"


def test_model_that_vanishes_while_it_is_read_is_told_as_that(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    with pytest.raises(ModelError, match=r"tiny\.tflite: cannot be read"):
        load_model(
            ModelChoice(str(path), "cpu"), catalogue=catalogue(), check=lambda _: path.unlink()
        )
