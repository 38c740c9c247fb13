"""Damaged files by the thousand: seeded mutations of pictures and of models.

Nothing but this project's own errors may come of them, within bounded time and memory. Native
code may crash on a damaged model, but only in a child that was made for it.
"""

import subprocess
import sys
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_classifier.engine import probe
from edge_classifier.errors import ExitCode
from edge_classifier.modelfile.bundle import read_bundle
from tests.mutations.damage import mutated, seeded
from tests.mutations.models import WORKERS, Ending, endings_of, full_model, make_mutants, parse
from tests.mutations.pictures import try_pictures
from tests.tiny import build

SAMPLE = Path(__file__).parents[2] / "edge_classifier" / "samples" / "cat.jpg"


@pytest.mark.parametrize("tiff", [False, True])
def test_load_picture_of_mutated_files_gives_a_picture_or_a_picture_error(
    tiff: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Over two thousand: no other exception, none that takes for ever, no word on standard error.

    But for TIFF: there libtiff itself writes to file descriptor 2, and keeping it from that would
    hide what other threads write in the meantime.
    """
    findings = try_pictures(1_500 if tiff else 4_000, seeded(), tiff=tiff)
    assert findings.wrong == []
    assert findings.endings["refused"] > 100, findings.endings
    assert findings.endings["taken"] > 100, findings.endings
    assert tiff or capfd.readouterr().err == ""


def test_parsers_on_mutated_models_raise_their_own_errors_only(tmp_path: Path) -> None:
    """One thousand, in the flatbuffer, in the zip, or anywhere."""
    data = full_model(tmp_path / "tiny.tflite").read_bytes()
    zip_at = data.index(b"PK\x03\x04")
    source, endings = seeded(), Counter[str]()
    path = tmp_path / "mutated.tflite"
    for number in range(1_200):
        start, end = ((0, zip_at), (zip_at, len(data)), (0, len(data)))[number % 3]
        path.write_bytes(mutated(data, source, start, end))
        endings += parse(path)

    assert min(endings.values()) > 20, endings


def test_parsers_on_models_with_mutated_texts_raise_their_own_errors_only(tmp_path: Path) -> None:
    """The zip is whole, what it holds is not."""
    bare = build(tmp_path / "bare.tflite").read_bytes()
    members = read_bundle(full_model(tmp_path / "tiny.tflite"))
    source, endings = seeded(), Counter[str]()
    path = tmp_path / "mutated.tflite"
    for _ in range(400):
        path.write_bytes(bare)
        with zipfile.ZipFile(path, "a") as archive:
            for name, content in members.items():
                archive.writestr(name, mutated(content, source))
        endings += parse(path)

    assert min(endings["resolved"], endings["not resolved"]) > 5, endings


def test_parsers_on_googles_mutated_metadata_raise_their_own_errors_only(
    shared: Path, tmp_path: Path
) -> None:
    data = (shared / "models" / "mobilenet_v2_1.0_224_quant.tflite").read_bytes()
    stated_at, zip_at = data.index(b"M001") - 4, data.index(b"PK\x03\x04")
    source, endings = seeded(), Counter[str]()
    path = tmp_path / "mutated.tflite"
    windows = ((stated_at, stated_at + 1_200), (zip_at, len(data)), (0, 300))
    for number in range(210):
        path.write_bytes(mutated(data, source, *windows[number % len(windows)]))
        endings += parse(path)

    assert min(endings["metadata read"], endings["metadata refused"]) > 5, endings


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> list[Ending]:
    """Some hundred mutated models that still look like models, and how each ended."""
    return endings_of(make_mutants(tmp_path_factory.mktemp("mutants"), 900, seeded()))


def test_trials_of_mutated_models_let_no_foreign_exception_out(mutants: list[Ending]) -> None:
    """Neither the trial nor what follows it; crashes stay in the child."""
    escaped = {ending.path: ending.escaped for ending in mutants if ending.escaped}

    assert escaped == {}
    assert [ending.path for ending in mutants if ending.crash and ending.passed] == []
    assert len(mutants) > 600
    assert sum(bool(ending.problem) for ending in mutants) > 100
    assert sum(not ending.crash and not ending.problem for ending in mutants) > 50


def test_trials_of_mutated_models_neither_hang_nor_take_all_memory(mutants: list[Ending]) -> None:
    assert [ending.path for ending in mutants if ending.crash == "SIGALRM"] == []
    assert max(ending.peak_mib for ending in mutants) < probe._MEMORY_LIMIT_BYTES >> 20


def test_command_on_mutated_models_ends_with_a_documented_code_and_one_line(
    mutants: list[Ending],
) -> None:
    """The real command on those that crash, and on some that do not."""
    crashing = [ending for ending in mutants if ending.crash]
    running = [ending for ending in mutants if not ending.crash and not ending.problem]
    refused = [ending for ending in mutants if ending.problem]
    chosen = [Path(e.path) for e in (*crashing[:20], *running[:15], *refused[:15])]

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge_classifier", "--image", str(SAMPLE)]
        command += ["--model", str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    with ThreadPoolExecutor(WORKERS) as pool:
        ended = list(pool.map(run, chosen))

    for path, done in zip(chosen, ended, strict=True):
        told = [line for line in done.stderr.splitlines() if "edge-classify: note: " not in line]
        assert done.returncode in set(ExitCode) - {ExitCode.BUG}, (path, done.stderr)
        assert "Traceback" not in done.stderr
        assert len(told) == (done.returncode != ExitCode.OK), (path, done.stderr)
        assert all(line.startswith("edge-classify: ") for line in told)
    codes = Counter(done.returncode for done in ended)
    assert min(codes[ExitCode.BAD_DATA], codes[ExitCode.OK]) > 5, codes
