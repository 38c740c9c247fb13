"""The service manager: what systemd hears of it, and the watchdog that only progress feeds.

The protocol is that of sd_notify(3): one datagram of ``KEY=VALUE`` lines.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # It would bring numpy along, without which the web page does.
    from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)


class Notifier:
    """Reports to systemd how the service is; without systemd it does nothing."""

    def __init__(self, address: str = "") -> None:
        """``address``: a socket's path, or its name in the abstract namespace after an @."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket:
            # A manager that is slow must not hold up the pipeline.
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """As systemd says in $NOTIFY_SOCKET."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str = "") -> bool:
        """Started: whoever waited for it goes on."""
        return self._send(f"READY=1\nSTATUS={_line(status)}")

    def stopping(self) -> bool:
        """On the way out."""
        return self._send("STOPPING=1")

    def status(self, text: str) -> bool:
        """One line for ``systemctl status``."""
        return self._send(f"STATUS={_line(text)}")

    def alive(self) -> bool:
        """Feed the watchdog."""
        return self._send("WATCHDOG=1")

    def close(self) -> None:
        """Report nothing any more."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> bool:
        """Whether the manager has it."""
        if not self._socket:
            return False
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError as error:
            _log.debug("systemd did not get %s: %s", message.partition("\n")[0], error)
            return False
        return True


class Watchdog:
    """Feeds systemd's watchdog while the main loop makes progress.

    ``interval_s``: after so long without a word the service is restarted; None: no watchdog.
    """

    def __init__(
        self, notifier: Notifier, interval_s: float | None, *, clock: "Clock" = time.monotonic
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        # Four times as often as needed: a word or two may be late or lost.
        self._pause_s = interval_s / 4 if interval_s else float("inf")
        self._due_s = clock() if interval_s else float("inf")

    def progress(self) -> None:
        """The loop completed a turn, with a frame or without one. Costs next to nothing."""
        now_s = self._clock()
        if now_s >= self._due_s and self._notifier.alive():
            self._due_s = now_s + self._pause_s


def watchdog_interval_s(
    environment: Mapping[str, str] = os.environ, process: int | None = None
) -> float | None:
    """Seconds from $WATCHDOG_USEC, if they are meant for this process; None: no watchdog."""
    usec = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID") or str(process or os.getpid())
    if not usec.isdecimal() or int(usec) == 0 or pid != str(process or os.getpid()):
        return None
    return int(usec) / 1e6


def _line(text: str) -> str:
    """A line break would begin another key."""
    return " ".join(text.split())
