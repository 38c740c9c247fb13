"""A whole run that is small, through the real command. Imports no torch: conftest does this."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Completed

SEED = 7
SETTINGS = (
    *("--network", "mobilenet-v2", "--pretrained", "first.safetensors"),
    *("--width", "0.35", "--size", "96", "--unfreeze", "-1", "--set", "quantize.epochs=2"),
    *("--device", "cpu", "--workers", "0", "--seed", str(SEED), "--epochs", "2"),
    *("--set", "data.held_out=0.5", "--set", "head.epochs=6", "--set", "head.rate=1e-3"),
    *("--set", "finetune.rate=1e-4", "--set", "augment.zoom=0.1"),
)
MODULE = ("-m", "edge_classifier")


@dataclass(frozen=True, slots=True)
class SmallRun:
    """What a run is started with; its command runs in ``folder``."""

    folder: Path
    # How the run in ``run`` ended, if it was done.
    said: Completed | None = None

    @property
    def data(self) -> Path:
        """Class folders."""
        return self.folder / "shapes"

    @property
    def other(self) -> Path:
        """Pictures of something else."""
        return self.folder / "stripes"

    @property
    def weights(self) -> Path:
        """First ones."""
        return self.folder / "first.safetensors"

    @property
    def run(self) -> Path:
        """The folder of the finished run."""
        return self.folder / "run"

    @property
    def model(self) -> Path:
        """What came of it."""
        return self.run / "model.tflite"

    def arguments(self, run: str | Path, *more: str) -> list[str]:
        """Of the whole run into ``run``, with paths as a user would write them."""
        begin = ["train", self.data.name, "--other", self.other.name, "--out", str(run)]
        return [*begin, *SETTINGS, *more]

    def do(self, run: str | Path, *more: str, launcher: tuple[str, ...] = MODULE) -> Completed:
        """Train to the end."""
        command = [sys.executable, *launcher, *self.arguments(run, *more)]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            timeout=240,
            check=False,
        )

    @contextmanager
    def begun(self, run: str | Path, *more: str) -> Iterator[subprocess.Popen[str]]:
        """A run in a process of its own, which does not outlive the context."""
        with subprocess.Popen(
            [sys.executable, *MODULE, *self.arguments(run, *more)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def environment(self) -> dict[str, str]:
        """One thread a process: two of them would sum up in another order."""
        home = {name: str(self.folder / "home") for name in ("HOME", "XDG_CACHE_HOME")}
        return {**os.environ, **home, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}


def prepare(folder: Path) -> SmallRun:
    """Draw the pictures, and make first weights."""
    from tests.training import shapes  # Here: it imports torch, which need not be installed.

    small_run = SmallRun(folder)
    shapes.draw_classes(small_run.data)
    shapes.draw_other(small_run.other)
    shapes.write_first_weights(small_run.weights)
    (folder / "home").mkdir()
    return small_run
