"""Work that threads do ahead of whoever takes its results: in order, and never far ahead."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

_WAITING_PER_WORKER = 2
T = TypeVar("T")
R = TypeVar("R")


def work_ahead(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """``work`` of each item, in their order; a bounded number of results waits to be taken.

    What ``work`` raises arises where its result is taken.
    """
    # It takes a while to load, and a single picture needs none of it.
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(workers, "picture")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > _WAITING_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # A worker may be reading a pipe that nobody writes: who interrupts does not wait for it.
        interrupted = isinstance(sys.exc_info()[1], KeyboardInterrupt)
        pool.shutdown(wait=not interrupted, cancel_futures=True)
