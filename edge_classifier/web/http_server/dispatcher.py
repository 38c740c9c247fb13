"""The server's threads: clients are served in turn, and none has all of them.

A request waits in the queue of its client, where it costs no thread. The next free thread takes
the request of the client whose turn it is, unless that client has its share of threads already.
"""

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

from waitress.utilities import Error

_log = logging.getLogger(__name__)
# Longer than this nobody waits for a thread; most browsers' users have left by then.
LONGEST_WAIT_S = 30.0
_AGAIN_S = 5


class BusyError(Error):
    """The answer to a request for which no thread was free in time."""

    code = 503
    reason = "Service Unavailable"

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """As waitress writes it, and when to try again."""
        status, headers, body = super().to_response(ident)
        return status, [*headers, ("Retry-After", str(_AGAIN_S))], body


class ThreadPool:
    """Some threads for one kind of requests. Any thread may call any method.

    A task is a waitress channel whose first request is to be answered; it has a ``client``.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        most_each: int,
        *,
        at_thread_end: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``most_each``: threads that one client may have at the same time."""
        self._name = name
        self._most_each = most_each
        self._at_thread_end = at_thread_end
        self._clock = clock
        self._changed = threading.Condition()
        # By client, the one whose turn it is first.
        self._waiting: OrderedDict[str, deque[tuple[float, Any]]] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._alive = 0
        self._is_over = False
        self._own = threading.local()
        for _ in range(threads):
            self._start_thread()

    def add(self, task: Any) -> None:
        """Let ``task`` be served when it is its client's turn."""
        client = task.client
        with self._changed:
            self._waiting.setdefault(client, deque()).append((self._clock(), task))
            self._changed.notify()

    def give_back_thread(self) -> bool:
        """The calling thread serves its task alone from now on, and another takes its place.

        False: it does not, because the system gives no other thread.
        """
        client = getattr(self._own, "client", None)
        if client is None:
            return False
        try:
            self._start_thread()
        except RuntimeError:
            return False
        self._own.client = None
        self._leave(client)
        return True

    def end(self) -> None:
        """Let threads end when they have served what they serve; cancel all that waits."""
        with self._changed:
            self._is_over = True
            waiting = [task for queue in self._waiting.values() for _, task in queue]
            self._waiting.clear()
            self._changed.notify_all()
        for task in waiting:
            task.cancel()

    def wait(self, until_s: float) -> int:
        """How many threads are still there when the clock says ``until_s``, or all have ended."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alive, max(0.0, until_s - self._clock()))
            return self._alive

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name=f"web-{self._name}", daemon=True)
        with self._changed:
            self._alive += 1
        try:
            thread.start()
        except RuntimeError:
            with self._changed:
                self._alive -= 1
            raise

    def _run(self) -> None:
        try:
            while taken := self._take():
                client, task = taken
                self._own.client = client
                try:
                    task.service()
                except Exception:  # noqa: BLE001 (the thread serves others, too)
                    _log.exception("a request could not be answered")
                if self._own.client is None:
                    return  # Another thread has its place.
                self._leave(client)
        finally:
            self._at_thread_end()
            with self._changed:
                self._alive -= 1
                self._changed.notify_all()

    def _take(self) -> tuple[str, Any] | None:
        """The next client and its task, when there is one; None: it is over."""
        with self._changed:
            while not self._is_over:
                free = (one for one in self._waiting if self._busy.get(one, 0) < self._most_each)
                client = next(free, None)
                if client is None:
                    self._changed.wait()
                    continue
                queue = self._waiting.pop(client)
                queued_at, task = queue.popleft()
                if queue:
                    self._waiting[client] = queue  # Behind all others.
                self._busy[client] += 1
                if self._clock() - queued_at > LONGEST_WAIT_S and task.requests:
                    task.requests[0].error = BusyError("Too many requests wait. Try again soon.")
                return client, task
            return None

    def _leave(self, client: str) -> None:
        with self._changed:
            self._busy[client] -= 1
            if not self._busy[client]:
                del self._busy[client]
            # What waits may be of this very client.
            self._changed.notify()


class Dispatcher:
    """What waitress hands its requests to: pools by method and path, and one for all else.

    Responses of unknown length are none of a pool's: see ``apart_if_streaming``.
    """

    def __init__(
        self, pool: ThreadPool, special: Mapping[tuple[str, str], ThreadPool], most_streams: int
    ) -> None:
        """``special``: by method and path. ``most_streams``: threads beyond those of the pools."""
        self._pool, self._special = pool, special
        self._streams = threading.BoundedSemaphore(most_streams)

    def add_task(self, channel: Any) -> None:
        """Called by waitress for a channel that has a request."""
        request = channel.requests[0]
        # As waitress and Django read it: a name for another pool is not a way around this one.
        path = "/" + getattr(request, "path", "").lstrip("/")
        self._special.get((getattr(request, "command", ""), path), self._pool).add(channel)

    def apart_if_streaming(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """``application``, whose streaming responses hold no thread of the pool that others need.

        How long these take is the reader's choice. Views limit how many there are.
        """

        def apart(environ: dict[str, Any], start_response: Any) -> Any:
            response = application(environ, start_response)
            if not getattr(response, "streaming", False):
                return response
            if not self._streams.acquire(blocking=False):
                return response
            if self._pool.give_back_thread():
                return _Released(response, self._streams.release)
            self._streams.release()
            return response

        return apart

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5.0) -> bool:
        """End all threads; those that take longer than ``timeout`` are left alone, and counted."""
        pools = [self._pool, *self._special.values()]
        until_s = time.monotonic() + timeout
        for pool in pools:
            pool.end()
        if left := sum(pool.wait(until_s) for pool in pools):
            _log.warning("%d thread(s) still running", left)
        return cancel_pending


class _Released:
    """A response's body that gives back its place when it is closed."""

    def __init__(self, body: Any, release: Callable[[], None]) -> None:
        self._body, self._release = body, release

    def __iter__(self) -> Any:
        return iter(self._body)

    def close(self) -> None:
        """Called by the server in any case."""
        try:
            self._body.close()
        finally:
            self._release()
