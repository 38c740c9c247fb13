"""Examples in batches, the same ones whatever number of processes reads or trains."""

import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing import get_context
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from edge_classifier.core.text import escaped
from edge_classifier.errors import ConfigurationError, EdgeClassifierError, UnavailableError
from edge_classifier.training.data.examples import Example, Examples, Key, rng_for
from edge_classifier.training.train.devices import World
from edge_classifier.vision.preprocess import limit_opencv_threads

# Between looks whether the training is still there.
_LOOK_S = 1.0


class Batches:
    """The keys of one process's share of each batch; an epoch's order follows from the seed.

    Batches are nearly equal, no last one is tiny, and each holds something for every process.
    Without a seed the examples come in order. Raises ConfigurationError if they are fewer than
    the processes.
    """

    def __init__(self, count: int, batch: int, world: World, seed: int | None = None) -> None:
        if count < world.size:
            raise ConfigurationError(
                "torchrun --nproc-per-node",
                f"{count} pictures cannot be shared among {world.size} processes",
                "Start fewer processes.",
            )
        self._world, self._seed = world, seed
        # The number of the epoch that is begun next.
        self.epoch = 0
        pieces = min(math.ceil(count / batch), count // world.size)
        small, larger = divmod(count, pieces)
        # Examples in each batch, over all processes together.
        self.sizes = (small + 1,) * larger + (small,) * (pieces - larger)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, count = self.epoch, sum(self.sizes)
        order = np.arange(count)
        if self._seed is not None:
            order = rng_for(self._seed, epoch).permutation(order)
        for batch in np.array_split(order, len(self)):
            yield [(epoch, int(index)) for index in batch[self._world.rank :: self._world.size]]


class Loader(DataLoader):
    """Batches of ``examples``, read by ``workers`` processes, or by this one if that is 0."""

    def __init__(
        self, examples: Examples, batches: Batches, *, workers: int, pinned: bool = False
    ) -> None:
        limit_opencv_threads(1)
        reader = _Reader(examples)
        self._reported: set[str] = set()
        # Workers are copies of a clean process that has imported what they need: copies of this one
        # would hold locks of threads that they do not have.
        processes = get_context("forkserver")
        processes.set_forkserver_preload([__name__])
        super().__init__(
            reader,
            batch_sampler=batches,
            collate_fn=reader.batch,
            num_workers=workers,
            multiprocessing_context=processes if workers else None,
            worker_init_fn=partial(_prepare_worker, os.getpid()),
            persistent_workers=workers > 0,
            pin_memory=pinned,
            # Its own: torch draws from it when workers start, and only then. Drawn from the common
            # one, dropout would differ between an epoch that starts them and one that does not.
            generator=torch.Generator(),
        )

    def __iter__(self) -> Iterator[list[Tensor]]:
        """Inputs and classes. Raises what reading raised, UnavailableError for a dead worker."""
        try:
            for batch, problems in super().__iter__():
                for problem in problems:
                    if problem not in self._reported:
                        self._reported.add(problem)
                        text = (
                            f"edge-classify: {escaped(problem)} (the next picture takes its place)"
                        )
                        print(text, file=sys.stderr, flush=True)
                if isinstance(batch, EdgeClassifierError):
                    raise batch
                yield batch
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UnavailableError(
                "reading pictures",
                f"a process ended ({error})",
                "Memory may be short: --workers 0 does without.",
            ) from error


class _Reader:
    """What a worker holds. Hands errors on as values: torch cannot bring ours to who asked."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, key: Key) -> Example | EdgeClassifierError:
        try:
            return self._examples[key]
        except EdgeClassifierError as error:
            return error

    def batch(self, items: list[Example | EdgeClassifierError]) -> tuple[Any, list[str]]:
        """The items as tensors, or the first error; and what else is to be said."""
        problems = [str(problem) for problem in self._examples.problems]
        self._examples.problems.clear()
        error = next((item for item in items if isinstance(item, EdgeClassifierError)), None)
        return error or default_collate(items), problems


def _prepare_worker(training: int, _number: int) -> None:
    """``training``: the process for which this one reads."""
    limit_opencv_threads(1)
    # Ctrl-C is for who started them, and ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(training,), daemon=True).start()


def _end_with(process: int) -> None:
    """End this worker once ``process`` is gone, which may be killed, by a lack of memory for one.

    torch looks at the parent of a worker, which here is the server of forks and stays: the two
    would wait for each other, with all their memory, until the machine is switched off.
    """
    while True:
        try:
            os.kill(process, 0)
        except OSError:
            os._exit(1)
        time.sleep(_LOOK_S)


def choose_workers(wanted: int, examples: Examples, device: str, world: World) -> int:
    """``wanted`` or, if that is -1, what fits this machine.

    A CPU that trains has nothing to spare for them but the moments in which it would wait.
    """
    if examples.in_memory:
        return 0
    if wanted >= 0:
        return wanted
    available = os.cpu_count() or 1
    # In a container they are fewer than there are; macOS has no such call.
    with contextlib.suppress(AttributeError):
        available = len(os.sched_getaffinity(0))
    cores = available * world.machines // world.size
    return max(0, min(8, cores - 1)) if device != "cpu" else min(4, cores // 4)
