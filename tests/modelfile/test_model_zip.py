"""A zip with one model and its labels, as it was downloaded; and zips that are no such thing."""

import io
import os
import resource
import struct
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from edge_classifier.errors import ModelError, OutputError
from edge_classifier.modelfile.bundle import append_bundle, read_bundle
from edge_classifier.modelfile.model_zip import model_file, unpack_model
from tests.conftest import Cli
from tests.modelfile.model_files import load
from tests.tiny import COLOURS, Tiny, build

LABELS = b"0 red\n1 green\n2 blue\n"


def zip_file(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write a zip to ``path`` and return it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    return build(tmp_path / "built.tflite").read_bytes()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("model_name", "label_name"),
    [
        ("model_unquant.tflite", "labels.txt"),
        ("model.tflite", "labels.txt"),
        ("converted_tflite_quantized/model.tflite", "converted_tflite_quantized/labels.txt"),
        ("flowers.tflite", "dict.txt"),
        ("flowers.tflite", "flowers_names.txt"),
        ("flowers.tflite", "whatever.txt"),
        ("../../flowers.tflite", "/etc/labels.txt"),
    ],
)
def test_zip_with_one_model_and_its_labels_is_taken_as_it_is(
    model_name: str, label_name: str, model: bytes, tmp_path: Path
) -> None:
    members = {
        model_name: model,
        label_name: LABELS,
        "__MACOSX/._labels.txt": b"x",
        ".DS_Store": b"",
    }
    path = zip_file(tmp_path / "converted.zip", members)
    before = sorted(tmp_path.rglob("*.t*"))

    loaded = load(path)

    assert loaded.name == "converted"
    assert loaded.resolved.contract.labels == COLOURS
    assert loaded.resolved.labels_from == "labels.txt in the model"
    new = [found for found in sorted(tmp_path.rglob("*.t*")) if found not in before]
    assert [found.name for found in new] == ["converted.tflite"]


def test_zip_again_is_the_same_file_and_few_are_kept(
    model: bytes, tmp_path: Path, cache: Path
) -> None:
    paths = [
        zip_file(tmp_path / f"{name}.zip", {"model.tflite": model, f"{name}.txt": LABELS})
        for name in "abcdef"
    ]
    made = [model_file(path) for path in paths]

    assert model_file(paths[-1]) == made[-1]
    assert len(list((cache / "edge-classifier" / "unpacked").iterdir())) == 3


def test_json_labels_and_labels_beside_the_zip_are_read(model: bytes, tmp_path: Path) -> None:
    path = zip_file(
        tmp_path / "a.zip", {"m.tflite": model, "labels.json": b'["red","green","blue"]'}
    )
    assert load(path).resolved.contract.labels == COLOURS

    path = zip_file(tmp_path / "b.zip", {"m.tflite": model})
    (tmp_path / "b.labels.txt").write_bytes(LABELS)
    assert load(path).resolved.contract.labels == COLOURS


def test_labels_inside_the_model_in_the_zip_come_first(tmp_path: Path) -> None:
    built = build(tmp_path / "built.tflite")
    append_bundle(built, {"labels.txt": "a\nb\nc\n"})
    path = zip_file(tmp_path / "x.zip", {"m.tflite": built.read_bytes(), "labels.txt": LABELS})

    assert load(path).resolved.contract.labels == ("a", "b", "c")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "one .tflite is needed"),
        ({"labels.txt": LABELS}, "one .tflite is needed"),
        ({"a.tflite": b"", "b.tflite": b""}, "holds a.tflite, b.tflite"),
        ({"a.tflite": b"MODEL", "labels.txt": LABELS, "label.txt": LABELS}, "several label files"),
        ({"a.tflite": b"no model at all"}, "is not a TFLite model"),
        ({"a.tflite": b"MODEL", "a.contract.json": b"{}"}, "holds a contract"),
        ({"a.tflite": bytes(50_000_000)}, "would have 50000000 bytes"),
        ({"a.tflite": b"MODEL", "labels.txt": b"a" * 8_000_001}, "too large to be labels"),
        ({f"{number}": b"" for number in range(1001)}, "holds 1001 files"),
    ],
)
def test_zip_of_something_else_is_refused_and_says_what_it_holds(
    members: dict[str, bytes], said: str, model: bytes, tmp_path: Path, cache: Path
) -> None:
    members = {name: model if content == b"MODEL" else content for name, content in members.items()}
    path = zip_file(tmp_path / "some.zip", members)

    with pytest.raises(ModelError) as caught:
        model_file(path)

    assert said in caught.value.problem
    assert caught.value.subject == str(path)
    assert [found for found in cache.rglob("*") if found.is_file()] == []


def test_zip_with_a_password_is_refused(model: bytes, tmp_path: Path) -> None:
    path = zip_file(tmp_path / "some.zip", {"m.tflite": model})
    data = bytearray(path.read_bytes())
    for record, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(record) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="is protected by a password"):
        unpack_model(path, tmp_path / "out.tflite")


@pytest.mark.parametrize("kind", ["a zip", "a model with a zip inside"])
def test_zip_of_a_million_members_takes_no_memory(kind: str, model: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.zip"
    path.write_bytes((model if kind != "a zip" else b"") + _many_members(200_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match="its list of files is too long"):
        unpack_model(path, tmp_path / "out.tflite") if kind == "a zip" else read_bundle(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def _many_members(count: int) -> bytes:
    """A zip of ``count`` empty files, which all begin at one place."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a", b"")
    first, _, last = data.getvalue().partition(b"PK\x01\x02")
    member = b"PK\x01\x02" + last[: last.index(b"PK\x05\x06")]
    ends = (0, 0, 0xFFFF, 0xFFFF, count * len(member), len(first), 0)
    return first + count * member + struct.pack("<4s4H2LH", b"PK\x05\x06", *ends)


def test_size_that_a_zip_understates_is_all_that_is_written(model: bytes, tmp_path: Path) -> None:
    path = zip_file(tmp_path / "bomb.zip", {"m.tflite": model + bytes(5_000_000)})
    data = bytearray(path.read_bytes())
    size = (len(model) + 5_000_000).to_bytes(4, "little")
    path.write_bytes(data.replace(size, len(model).to_bytes(4, "little")))

    with suppress(ModelError):
        unpack_model(path, tmp_path / "out.tflite")
    assert (tmp_path / "out.tflite").stat().st_size <= len(model)


def test_damaged_zips_are_refused(model: bytes, tmp_path: Path) -> None:
    path = zip_file(tmp_path / "some.zip", {"model.tflite": model, "labels.txt": LABELS})
    whole = path.read_bytes()
    for at in range(4, len(whole), 37):
        damaged = bytearray(whole)
        damaged[at : at + 3] = b"\xff\xff\xff"
        for data in (bytes(damaged), whole[:at]):
            path.write_bytes(data)
            with suppress(ModelError):
                unpack_model(path, tmp_path / "out.tflite")


def test_service_without_a_home_unpacks_into_its_state(
    model: bytes, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zip_file(tmp_path / "some.zip", {"model.tflite": model, "labels.txt": LABELS})
    cache.write_text("no folder")
    with pytest.raises(OutputError, match="cannot be unpacked"):
        model_file(path)

    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'state'}{os.pathsep}other")

    assert model_file(path).is_relative_to(tmp_path / "state")


def test_command_line_takes_a_zip(tmp_path: Path, cli: Cli) -> None:
    built = build(tmp_path / "built.tflite", Tiny("float32", before=(("MUL", (1 / 255,)),)))
    members = {"model_unquant.tflite": built.read_bytes(), "labels.txt": LABELS}
    path = zip_file(tmp_path / "converted.zip", members)

    told = cli("models", "info", path).stdout.decode()

    assert "3 (labels.txt in the model)" in told
    assert "input_range 0 to 255" in told
