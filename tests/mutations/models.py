"""Damaged models, the parsers, and trials in children as the product makes them."""

import math
import os
import random
import resource
import signal
import struct
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Quantization, TensorSpec
from edge_classifier.engine import probe
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.errors import EdgeClassifierError, ModelError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.bundle import append_bundle, read_bundle
from edge_classifier.modelfile.catalogue import Catalogue
from edge_classifier.modelfile.flatbuffer import FlatbufferError
from edge_classifier.modelfile.resolve import ModelFacts, resolve
from edge_classifier.modelfile.tflite_metadata import read_tflite_metadata
from tests.mutations.damage import Findings, mutated
from tests.tiny import COLOURS, Tiny, build, metadata, pack

WORKERS = 2


def full_model(path: Path) -> Path:
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


def ending_of(path: str) -> Ending:
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
    context = get_context("spawn")
    with ProcessPoolExecutor(WORKERS, context, initializer=load_runtime) as pool:
        return list(pool.map(ending_of, map(str, paths), chunksize=20))


def make_mutants(folder: Path, count: int, source: random.Random) -> list[Path]:
    """At most ``count`` mutated models that still look like models."""
    seeds = [full_model(folder / "full.tflite")]
    seeds += [build(folder / f"{dtype}.tflite", Tiny(dtype)) for dtype in ("uint8", "float32")]
    contents = [path.read_bytes() for path in seeds]
    made: list[Path] = []
    for number in range(count):
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
    return made


def try_models(folder: Path, count: int, source: random.Random) -> Findings:
    """``count`` at least: the parsers on each, then a trial in a child of its own."""
    findings = Findings()
    paths = make_mutants(folder, count + count // 4, source)[:count]
    for number, path in enumerate(paths):
        with findings.trial(f"parsers on model {number}", limit_s=5):
            parse(path)
    findings.endings.clear()
    for number, ending in enumerate(endings_of(paths)):
        findings.endings["crashed in its child"] += bool(ending.crash)
        findings.endings["refused"] += bool(ending.problem)
        findings.endings["taken"] += not ending.crash and not ending.problem
        if ending.escaped:
            findings.wrong.append(f"model {number}: {ending.escaped}")
        if ending.crash and (ending.passed or ending.crash == "SIGALRM"):
            findings.wrong.append(f"model {number}: {ending.crash}, passed: {ending.passed}")
        if ending.peak_mib >= probe._MEMORY_LIMIT_BYTES >> 20:
            findings.wrong.append(f"model {number}: {ending.peak_mib} MiB")
    return findings
