"""The zip inside a model: the same members, the same bytes; damaged or lying ones are refused."""

import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge_classifier.errors import (
    ModelError,
)
from edge_classifier.modelfile.bundle import append_bundle
from tests.modelfile.model_files import LABELS, contract_text, load
from tests.tiny import build


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
