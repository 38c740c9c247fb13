"""Damaged files by the thousand: seeded mutations of pictures and of models.

Nothing but this project's own errors may come of them, within bounded time and memory. Native
code may crash on a damaged model, but only in a child that was made for it.
"""

import io
import math
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PIL import Image

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Quantization, TensorSpec
from edge_classifier.engine import probe
from edge_classifier.errors import EdgeClassifierError, ExitCode, ModelError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.bundle import append_bundle, read_bundle
from edge_classifier.modelfile.catalogue import Catalogue
from edge_classifier.modelfile.flatbuffer import FlatbufferError
from edge_classifier.modelfile.resolve import ModelFacts, resolve
from edge_classifier.modelfile.tflite_metadata import read_tflite_metadata
from edge_classifier.vision.pictures import load_picture
from tests.tiny import COLOURS, Tiny, build, metadata, pack

SEED = 20_261_122
WORKERS = 2
SAMPLE = Path(__file__).parents[2] / "edge_classifier" / "samples" / "cat.jpg"
EXTREMES = (0, 1, 2, 3, 4, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000)
ALL_EXTREMES = (*EXTREMES, 0xFFFF_FFFF, 0xFFFF_FFFC, 0x0100_0000, 0x4000_0000, 0x7F80_0000)


def seeded() -> random.Random:
    """The same mutations at every run."""
    return random.Random(SEED)  # noqa: S311


def mutated(data: bytes, source: random.Random, start: int = 0, end: int | None = None) -> bytes:
    """``data`` with one to four kinds of damage between ``start`` and ``end``."""
    made = bytearray(data)
    end = len(made) if end is None else end
    for _ in range(source.choice((1, 1, 2, 4))):
        at = source.randrange(start, max(start + 1, min(end, len(made)) - 4))
        kind = source.randrange(6)
        if kind == 0:
            for _ in range(source.choice((1, 2, 8))):
                made[min(len(made) - 1, at + source.randrange(32))] ^= 1 << source.randrange(8)
        elif kind == 1:
            word = struct.pack(source.choice("<>") + "I", source.choice(ALL_EXTREMES))
            at -= source.choice((0, at % 4))
            made[at : at + 4] = word
        elif kind == 2:
            value = source.randrange(256)
            made[at : at + 2] = bytes((value, source.choice((0, value, 255))))
        elif kind == 3:
            made[at:at] = bytes([source.randrange(256)]) * source.choice((1, 2, 3, 4, 16, 300))
        elif kind == 4:
            other, size = source.randrange(len(made)), source.choice((1, 4, 8, 32, 200))
            made[at : at + size] = made[other : other + size]
        elif source.random() < 0.3:
            del made[at:]
        else:
            del made[at : at + source.choice((1, 2, 4, 40))]
        if len(made) < 8:
            break
    return bytes(made)


def _pictures() -> Iterator[bytes]:
    y, x = np.mgrid[0:24, 0:40]
    pixels = np.stack((x * 6, y * 10, (x * y) % 256), axis=-1).astype(np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a maker with a name"

    def moving() -> dict[str, Any]:  # Made anew each time: saving leaves traces in an image.
        return {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}

    made: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("JPEG", image, {"exif": exif}),
        ("JPEG", image, {"progressive": True}),
        ("JPEG", image.convert("CMYK"), {}),
        ("MPO", image, moving()),
        ("PNG", image, {"exif": exif}),
        ("PNG", image.convert("RGBA"), {}),
        ("PNG", image.quantize(16), {"transparency": 3}),
        ("PNG", image, moving()),
        ("GIF", image.quantize(16), {}),
        ("GIF", image, moving()),
        ("WEBP", image, {"exif": exif}),
        ("WEBP", image.convert("RGBA"), {"lossless": True}),
        ("WEBP", image, moving()),
        ("BMP", image, {}),
        ("BMP", image.quantize(16), {}),
        ("TIFF", image, {"exif": exif}),
        ("TIFF", image, {"compression": "tiff_lzw"}),
        ("TIFF", image, {"compression": "jpeg"}),
        ("TIFF", image.convert("1"), {"compression": "group4"}),
        ("TIFF", image, moving()),
        ("PPM", image, {}),
    ]
    for form, picture, options in made:
        stream = io.BytesIO()
        picture.copy().save(stream, form, **options)
        yield stream.getvalue()


@pytest.mark.parametrize("tiff", [False, True])
def test_load_picture_of_mutated_files_gives_a_picture_or_a_picture_error(
    tiff: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Over two thousand: no other exception, none that takes for ever, no word on standard error.

    But for TIFF: there libtiff itself writes to file descriptor 2, and keeping it from that would
    hide what other threads write in the meantime.
    """
    source = seeded()
    seeds = [data for data in _pictures() if data.startswith((b"II", b"MM")) == tiff]
    endings: Counter[str] = Counter()
    slowest, lines = 0.0, 0
    for number in range(1_500 if tiff else 4_000):
        data = mutated(seeds[number % len(seeds)], source)
        at_least = source.choice((None, (10, 10)))
        started = time.thread_time()
        try:
            frame = load_picture("mutated", stream=io.BytesIO(data), at_least=at_least).frame
        except EdgeClassifierError as error:
            endings[type(error).__name__] += 1
            lines += str(error).count("\n")
        else:
            endings["decoded"] += 1
            assert frame.pixels.dtype == np.uint8
            assert frame.pixels.shape == (frame.height, frame.width, 3)
        slowest = max(slowest, time.thread_time() - started)

    assert slowest < 10
    assert lines == 0
    assert endings["PictureError"] > 100, endings
    assert endings["decoded"] > 100, endings
    assert tiff or capfd.readouterr().err == ""


def _model(path: Path) -> Path:
    """A tiny model with everything in it that the parsers read."""
    stated = metadata((128,), (128,), [("labels.txt", ""), ("german.txt", "de")])
    build(path, Tiny(metadata=stated))
    contract = Contract(8, 8, labels=COLOURS, names={"de": ("rot", "grün", "blau")})
    members = {"contract.json": contract.to_json(), "labels.txt": "\n".join(COLOURS)}
    append_bundle(path, {**members, "model_card.md": "# Tiny"})
    return path


FACTS = (
    TensorSpec("picture", (1, 8, 8, 3), np.dtype(np.int8), Quantization(1 / 128, 0)),
    TensorSpec("scores", (3,), np.dtype(np.int8), Quantization(1 / 256, -128)),
)


def parse(path: Path) -> Counter[str]:
    """Every parser on one file; how each ended. Whatever is not expected is raised."""
    endings: Counter[str] = Counter()
    started = time.thread_time()
    try:
        read_tflite_metadata(path)
        endings["metadata read"] += 1
    except FlatbufferError:
        endings["metadata refused"] += 1
    try:
        read_bundle(path)
        endings["bundle read"] += 1
    except ModelError:
        endings["bundle refused"] += 1
    try:
        resolve(ModelFacts(path, *FACTS, "SOFTMAX", {}))
        endings["resolved"] += 1
    except EdgeClassifierError:
        endings["not resolved"] += 1
    assert time.thread_time() - started < 5
    return endings


def test_parsers_on_mutated_models_raise_their_own_errors_only(tmp_path: Path) -> None:
    """One thousand, in the flatbuffer, in the zip, or anywhere."""
    data = _model(tmp_path / "tiny.tflite").read_bytes()
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
    members = read_bundle(_model(tmp_path / "tiny.tflite"))
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


@dataclass(frozen=True)
class Ending:
    """What became of one model in a child of its own."""

    path: str
    # A signal's name.
    crash: str = ""
    # Whether the trial had gone well before whatever else happened.
    passed: bool = False
    # What the trial said of the model; empty when it ran.
    problem: str = ""
    # An exception that is none of this project's errors: a bug.
    escaped: str = ""
    peak_mib: int = 0


def rewritten(data: bytes, source: random.Random) -> bytes:
    """A sound flatbuffer with wild numbers in it: what the runtime's verifier lets through."""
    model = schema.ModelT.InitFromPackedBuf(data)
    numbers = list(_numbers(model))
    for _ in range(source.choice((1, 1, 2, 3))):
        holder, key, old = source.choice(numbers)
        if isinstance(old, float):
            new: Any = source.choice((0.0, -1.0, 1e-38, 1e-45, 1e38, math.inf, math.nan, old * 1e6))
        else:
            new = source.choice((0, 1, 2, 3, 4, 5, 6, 9, -1, 255, old + 1, old - 1, 2**31 - 1))
        if isinstance(holder, list):
            holder[key] = new
        else:
            setattr(holder, key, new)
    return pack(model) + data[len(data) - zip_size(data) :]


def zip_size(data: bytes) -> int:
    """Of the zip at its end."""
    return len(data) - (data + b"PK\x03\x04").index(b"PK\x03\x04")


def _numbers(thing: Any) -> Iterator[tuple[Any, Any, int | float]]:
    """Every number in a tree of flatbuffer objects: what holds it, under what key, its value."""
    parts = enumerate(thing) if isinstance(thing, list) else vars(thing).items()
    for key, value in list(parts):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield thing, key, value
        elif isinstance(value, np.ndarray) and not isinstance(thing, schema.BufferT):
            numbers = value.tolist()
            setattr(thing, key, numbers)
            yield from _numbers(numbers)
        elif isinstance(value, list) or hasattr(value, "__dict__"):
            yield from _numbers(value)


def _ending(path: str) -> Ending:
    """Fork, try the model in the child, and say how the child ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _in_child(path, writer)
        finally:
            os._exit(9)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    crash = signal.Signals(-code).name if code < 0 else ""
    passed = answer.startswith("passed\n")
    kind, _, text = answer.removeprefix("passed\n").partition(":")
    return Ending(
        path,
        crash,
        passed,
        text if kind == "problem" else "",
        text if kind == "escaped" else "" if code <= 0 else f"exit code {code}",
        used.ru_maxrss >> 10,
    )


def _in_child(path: str, writer: int) -> None:
    """As the real trial does; then, if the model runs, what the command would do with it."""
    signal.alarm(20)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = probe._MEMORY_LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("error")
    try:
        problem = probe._answer(Path(path), None).problem
        if not problem:
            os.write(writer, b"passed\n")
            _classify(path)
        answer = f"problem:{problem}"
    except EdgeClassifierError as error:
        answer = f"problem:{error.problem}"
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
        answer = f"escaped:{error!r}"
    os.write(writer, answer[:4_000].encode("utf-8", "replace"))
    os._exit(0)


def _classify(path: str) -> None:
    nothing_known = Catalogue("none", (), Path("none"), Path("none"))
    model = load_model(ModelChoice(path, "cpu"), catalogue=nothing_known, check=lambda _: None)
    frame = Frame(np.full((30, 40, 3), (10, 240, 10), np.uint8))
    model.classifier(AnswerOptions(3, 0.5)).classify(frame)
    model.engine.operators()
    model.engine.tensors()


def endings_of(paths: list[Path]) -> list[Ending]:
    """Each model in a child forked from a process that has the runtime imported already."""
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        return list(pool.map(_ending, map(str, paths), chunksize=20))


@pytest.fixture(scope="module")
def mutants(tmp_path_factory: pytest.TempPathFactory) -> list[Ending]:
    """Some hundred mutated models that still look like models, and how each ended."""
    folder = tmp_path_factory.mktemp("mutants")
    source = seeded()
    seeds = [_model(folder / "full.tflite")]
    seeds += [build(folder / f"{dtype}.tflite", Tiny(dtype)) for dtype in ("uint8", "float32")]
    contents = [path.read_bytes() for path in seeds]
    made: list[Path] = []
    for number in range(900):
        data = contents[number % len(contents)]
        path = folder / f"mutant-{number}.tflite"
        if number % 4:
            try:
                path.write_bytes(rewritten(data, source))
            except (struct.error, TypeError):  # A number that its field cannot hold
                continue
        else:
            path.write_bytes(mutated(data, source, 8, len(data) - zip_size(data)))
        made.append(path)
    return endings_of(made)


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
