"""What several models cost in one daemon: memory with 1, 2 and 4 of them, frames when one is slow.

    python scripts/benchmarks/several_models.py [--model PATH] [--slow]

Each of four cameras shows the bundled photographs, five frames a second. The models are copies of
one file with a byte more each, so that none shares an engine with another. The slow one is made: it
adds nothing to a large picture, again and again.
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from edge_classifier import samples
from edge_classifier.cli.bench.daemon_trial import DaemonTrial
from edge_classifier.config.settings import ModelSettings
from edge_classifier.daemon.models.active_model import load_active_model
from edge_classifier.engine.model_copy import MEMORY_NAME
from edge_classifier.modelfile.catalogue import load_catalogue

_CAMERAS = 4
_SETTLED_S = 6.0
_WATCHED_S = 20.0


def main() -> None:
    """Print a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=load_catalogue().locate(""))
    parser.add_argument("--slow", action="store_true", help="also frames beside a slow network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = [_copy(options.model, Path(folder), number) for number in range(_CAMERAS)]
        size_mb = options.model.stat().st_size / 1e6
        print(f"{options.model.name}: {size_mb:.1f} MB")
        for count in (1, 2, 4):
            used = [models[number % count] for number in range(_CAMERAS)]
            rss_mb, copies_mb, _ = _run(used)
            print(
                f"{count} models: {rss_mb:.1f} MB resident, {copies_mb:.1f} MB of files in memory"
            )
        if options.slow:
            slow = _slow_model(Path(folder))
            for used in ([models[0]] * _CAMERAS, [models[0]] * (_CAMERAS - 1) + [slow]):
                *_, frames = _run(used)
                words = ", ".join(f"{one / _WATCHED_S:.1f}" for one in frames)
                print(f"{len(set(used))} models: {words} frames a second")


def _slow_model(folder: Path) -> Path:
    """A network that takes a second or so; says how long."""
    # The package is used without its tests, too.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.tiny import Tiny, build

    nothing = ("ADD", (0.0,))
    model = build(folder / "slow.tflite", Tiny("float32", (1000, 1000), before=(nothing,) * 200))
    classifier = load_active_model(ModelSettings(use=str(model))).classifier
    began = time.perf_counter()
    classifier.engine.invoke()
    print(f"the slow network alone: {time.perf_counter() - began:.1f} s a frame")
    return model


def _copy(model: Path, folder: Path, number: int) -> Path:
    copy = Path(shutil.copy(model, folder / f"{model.stem}-{number}.tflite"))
    with copy.open("ab") as file:
        file.write(bytes(number + 1))
    for beside in model.parent.glob(f"{model.stem}.*"):
        if beside.suffix != ".tflite":
            shutil.copy(beside, folder / f"{copy.stem}{beside.name.removeprefix(model.stem)}")
    return copy


def _run(models: list[Path]) -> tuple[float, float, list[float]]:
    """MB of the daemon, MB of model files that it holds, and frames of each camera."""
    tables = [
        f'[cameras.c{number}]\nsource = "pictures:{samples.FOLDER}"\nmodel = "{model}"\n'
        for number, model in enumerate(models)
    ]
    with DaemonTrial("[mqtt]\nenabled = false\n" + "".join(tables)) as trial:
        time.sleep(_SETTLED_S)
        process = Path("/proc", str(trial._running().pid))
        before = _frames(trial)
        time.sleep(_WATCHED_S)
        frames = [after - first for after, first in zip(_frames(trial), before, strict=True)]
        maps = process.joinpath("maps").read_text("utf-8", "replace")
        spans = re.findall(rf"^(\w+)-(\w+) .*/memfd:{MEMORY_NAME}", maps, re.MULTILINE)
        copies = sum(int(end, 16) - int(start, 16) for start, end in spans)
        return trial.read().rss_mb, copies / 1e6, frames


def _frames(trial: DaemonTrial) -> list[float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{trial._port}/metrics", timeout=5) as page:
        text = page.read().decode()
    found = re.findall(r'frames_total\{camera="(\w+)"[^}]*\} (\S+)', text)
    # A camera that has shown nothing yet is not told of.
    cameras = [f"c{number}" for number in range(_CAMERAS)]
    return [sum(float(value) for name, value in found if name == one) for one in cameras]


if __name__ == "__main__":
    main()
