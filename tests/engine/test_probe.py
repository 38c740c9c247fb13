"""The trial of a model in a child process, and the memory of trials that went well."""

import os
import random
import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge_classifier.engine import probe
from edge_classifier.engine.model_copy import ModelCopy
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.errors import ExitCode, ModelError
from edge_classifier.model_loading import ModelChoice, _check_once, load_model
from edge_classifier.modelfile.catalogue import Catalogue, sha256_of
from tests.engine.test_delegates import children, open_files
from tests.rights import as_ordinary_user
from tests.tiny import Tiny, build

NO_CATALOGUE = Catalogue("none", (), Path("none"), Path("none"))


def try_out(path: Path, time_limit_s: float = probe.TIME_LIMIT_S) -> None:
    with ModelCopy(path) as copy:
        probe.check_model(copy, time_limit_s=time_limit_s)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_good_model_passes_its_trial(dtype: str, tmp_path: Path) -> None:
    try_out(build(tmp_path / "tiny.tflite", Tiny(dtype)))


@pytest.mark.parametrize("kept", [0, 4, 8, 9, 30, 100, 0.25, 0.5, 0.75, 0.9, -64, -1])
def test_truncated_model_is_refused_with_file_and_cause(kept: float, tmp_path: Path) -> None:
    """Cut anywhere: the runtime reads flatbuffers without verifying them, and may crash on it."""
    path = build(tmp_path / "tiny.tflite")
    data = path.read_bytes()
    path.write_bytes(data[: kept if isinstance(kept, int) else int(kept * len(data))])

    with pytest.raises(ModelError) as caught:
        try_out(path)

    assert caught.value.subject == str(path)
    assert caught.value.exit_code == ExitCode.BAD_DATA
    assert "\n" not in str(caught.value)


def test_model_whose_root_points_nowhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.tflite"
    path.write_bytes(struct.pack("<I", 0x7FFF_FFF0) + b"TFL3" + bytes(400))

    with pytest.raises(ModelError, match=r"crashed .* when tried|cannot be run|cannot load"):
        try_out(path)


@pytest.mark.parametrize("seed", range(6))
def test_model_with_scrambled_structure_ends_in_an_error_or_works(
    seed: int, tmp_path: Path
) -> None:
    """Twenty words overwritten: whatever the runtime makes of it, this process goes on."""
    path = build(tmp_path / "tiny.tflite")
    data, source = bytearray(path.read_bytes()), random.Random(seed)  # noqa: S311
    for _ in range(20):
        struct.pack_into("<i", data, 4 * source.randrange(2, len(data) // 4), source.randrange(99))
    path.write_bytes(bytes(data))
    before, files_before = children(), open_files()

    with suppress(ModelError):
        try_out(path)

    assert children() == before
    assert open_files() == files_before


def test_model_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    """Input of 60,000 x 60,000: more than a trial may take."""
    path = build(tmp_path / "huge.tflite", Tiny(size=(60_000, 60_000)))

    with pytest.raises(ModelError) as caught:
        try_out(path, time_limit_s=20)

    assert caught.value.problem


def test_model_that_takes_too_long_is_refused_at_the_time_limit(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"longer than 0\.01 s"):
        try_out(build(tmp_path / "tiny.tflite"), time_limit_s=0.01)


class Trials:
    """A check that counts, and does the real one."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def __call__(self, copy: ModelCopy) -> None:
        self.paths.append(copy.path)
        probe.check_model(copy)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where trials that went well are remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edge-classifier" / "checked"


def load(path: Path, trials: Trials) -> None:
    load_model(ModelChoice(str(path)), catalogue=NO_CATALOGUE, check=trials)


def test_model_is_tried_once_a_hash_whatever_its_name(tmp_path: Path, cache: Path) -> None:
    trials = Trials()
    path, copy = build(tmp_path / "tiny.tflite"), tmp_path / "copy.tflite"
    copy.write_bytes(path.read_bytes())

    for model in (path, path, copy):
        load(model, trials)

    runtime = load_runtime()
    assert trials.paths == [path]
    assert [file.name for file in cache.iterdir()] == [
        f"{sha256_of(path)}-{runtime.name}-{runtime.version}"
    ]


def test_model_that_changed_is_tried_again(tmp_path: Path, cache: Path) -> None:
    trials = Trials()
    path = build(tmp_path / "tiny.tflite")
    load(path, trials)

    build(path, Tiny("uint8"))
    load(path, trials)

    assert len(trials.paths) == 2
    assert len(list(cache.iterdir())) == 2


def test_model_that_failed_its_trial_is_not_remembered(tmp_path: Path, cache: Path) -> None:
    trials = Trials()
    path = build(tmp_path / "tiny.tflite", Tiny(extra_output=True))

    for _ in range(2):
        with pytest.raises(ModelError):
            load(path, trials)

    assert len(trials.paths) == 2
    assert not cache.exists() or not list(cache.iterdir())


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder that others find the way to; the test takes rights away from it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "cache"
        folder.mkdir()
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_model_with_a_cache_folder_out_of_reach_is_tried_each_time(
    mode: int, tmp_path: Path, locked: Path
) -> None:
    path, runtime, tried = build(tmp_path / "tiny.tflite"), load_runtime(), list[ModelCopy]()
    locked.chmod(mode)

    with ModelCopy(path) as copy, as_ordinary_user():
        for _ in range(2):
            _check_once(copy, runtime, tried.append)

        assert tried == [copy, copy]


@pytest.mark.parametrize("kind", ["file", "long"])
def test_model_with_an_impossible_cache_folder_is_tried_each_time(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = Trials()
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / "file").touch()
    folder = tmp_path / ("file" if kind == "file" else "x" * 300)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))

    for _ in range(2):
        load(path, trials)

    assert trials.paths == [path, path]


def test_trial_does_not_look_into_the_current_folder_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's folder must not slip its own json.py into the child."""
    for name in ("json", "numpy", "ai_edge_litert", "edge_classifier"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken over')\n")
    path = build(tmp_path / "tiny.tflite")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))

    try_out(path)
