"""A camera's frames with what a taught model says of them: server-sent events."""

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.web.http_server.stream_slots import StreamSlots
from edge_classifier.web.live.bursts import BurstView
from edge_classifier.web.wording import explained
from edge_classifier.web.worker.messages import LabelScore

# Frames a second at most; each takes the page's child process for as long as an upload does.
RATE_FPS, LONGEST_PX = 2.0, 640
# Without a frame for so long something is sent: nothing else tells of a dead connection.
_FRAME_S = 5.0
_CHECK_S = 15.0
# It ends then, and the browser opens another: one that nobody reads ends, too.
_LONGEST_S, _MOST_BYTES = 600.0, 60_000_000

Classify = Callable[[bytes], Sequence[LabelScore]]


@dataclass(eq=False)
class TryStream:
    """The bytes of one response. ``close`` frees what it holds; the server calls it in any case."""

    view: BurstView
    # Ends the view.
    stack: ExitStack
    classify: Classify
    slots: StreamSlots
    # A label of the model, with its Chinese name, in the language of the page.
    name: Callable[[str, str], str]
    # The same of a label that the camera shows by its present model.
    name_now: Callable[[str], str]
    may_watch: Callable[[], bool]
    # Whether the client has hung up, or the page ends.
    is_gone: Callable[[], bool]
    # The last snapshot, for daemons that know of no bursts.
    snapshot: Callable[[], bytes | None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _bytes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._began = self._checked = self.clock()
        self._shown: bytes | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next frame, or why there is none."""
        now = self.clock()
        is_over = self.is_gone() or self._bytes > _MOST_BYTES or now - self._began > _LONGEST_S
        if not is_over and now - self._checked >= _CHECK_S:
            self._checked = now
            is_over = not self.may_watch()
        if is_over:
            self.close()
            raise StopIteration
        chunk = self._chunk()
        self._bytes += len(chunk)
        return chunk

    def close(self) -> None:
        """Free its place, and let the camera rest."""
        self.slots.leave(self)
        self.stack.close()

    def _chunk(self) -> bytes:
        frame = self.view.next_frame(_FRAME_S)
        if frame:
            meta = frame.meta
            label = meta["label"]
            now = {"label": label, "name": self.name_now(label), "score": meta["score"]}
            return self._event(frame.jpeg, now)
        jpeg = self.snapshot() if self.view.is_unsupported else None
        if jpeg and jpeg != self._shown:
            self._shown = jpeg
            return self._event(jpeg, None)
        problem = "" if self.view.is_unsupported else self.view.problem
        return _sent({"problem": problem}) if problem else b":\n\n"

    def _event(self, jpeg: bytes, now: Mapping[str, Any] | None) -> bytes:
        shown: dict[str, Any] = {"frame": base64.b64encode(jpeg).decode("ascii"), "now": now}
        try:
            shown["bars"] = [
                {"label": one.label, "name": self.name(one.label, one.chinese), "score": one.score}
                for one in self.classify(jpeg)
            ]
        except EdgeClassifierError as error:
            shown["problem"] = explained(error)
        return _sent(shown)


def _sent(event: Mapping[str, Any]) -> bytes:
    # JSON has no line breaks of its own, which would end the event.
    return f"retry: 2000\ndata: {json.dumps(event)}\n\n".encode()
