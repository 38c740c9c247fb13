"""The child process that sends one message to one address, by Apprise.

Apprise takes 37 MB, which the page does without; and whatever a service does with its time ends
with the process. The address comes on standard input: arguments are seen by everybody.
"""

import json
import logging
import re
import signal
import sys
from collections.abc import Iterator
from typing import Any

from edge_classifier.child import answer_stream, limit_memory

_MEMORY = 1_000_000_000
# To connect, and for each answer; of mail the first is for both.
_LIMIT_S = 20.0
# Bytes of an answer: more says nothing to anybody.
_LONGEST_ANSWER = 1_000_000
# As services say it, and as mail servers do.
_STATUS, _MAIL_STATUS = re.compile(r"error\W{1,3}(\d{3})\b"), re.compile(r"\((\d{3}), b['\"]")
# The request has left, and nobody knows what came of it.
_UNKNOWN = ("read timed out", "remote end closed", "connection reset", "connection aborted")
_UNREACHABLE = ("connection error", "failed to establish", "refused", "name or service not known")
# Of mail: nothing was handed over yet; some of it was.
_MAIL_BEFORE, _MAIL_BEGUN = "error while submitting email", "sending email to"


def send(given: dict[str, Any]) -> dict[str, Any]:
    """How it went: ``problem``, empty when it was sent, and the ``status`` of HTTP if it told."""
    try:
        # Not before it is needed: the extra [notify] may be missing.
        import apprise
    except ImportError:
        return {"problem": "no_apprise"}
    _read_no_more_than(_LONGEST_ANSWER)
    said = _Listener()
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    # What a service says may hold the address: it is read here, and goes nowhere else.
    logger.handlers, logger.propagate = [said], False
    # Without them a phone would fetch Apprise's icon from a third party's machine.
    asset = apprise.AppriseAsset(app_id=given["sender"], image_url_mask="", image_url_logo="")
    service = apprise.Apprise.instantiate(given["address"], asset, suppress_exceptions=True)
    if service is None:
        return {"problem": "wrong_address"}
    service.socket_connect_timeout = service.socket_read_timeout = _LIMIT_S
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    picture = given["picture"]
    try:
        is_sent = sender.notify(
            body=given["body"],
            title=given["title"],
            body_format=apprise.NotifyFormat.TEXT,
            **({"attach": picture} if picture else {}),
        )
    except Exception as error:  # noqa: BLE001 (a service's own bug; its text may hold the address)
        return {"problem": "refused", "kind": type(error).__name__}
    return {"problem": ""} if is_sent else _what_is_wrong(*said.lines)


def _read_no_more_than(most: int) -> None:
    """Of answers over HTTP, whose status has come before: a service may send gigabytes."""
    import requests

    read = requests.Response.iter_content

    def read_little(self: Any, *given: Any, **named: Any) -> Iterator[Any]:
        length = 0
        for chunk in read(self, *given, **named):
            yield chunk
            length += len(chunk)
            if length > most:
                return

    requests.Response.iter_content = read_little  # type: ignore[method-assign]


def _what_is_wrong(warned: str, reasons: str) -> dict[str, Any]:
    status = _STATUS.findall(warned) or _MAIL_STATUS.findall(reasons)
    if status:
        return {"problem": "answered", "status": int(status[-1])}
    said = f"{warned}\n{reasons}"
    is_begun = _MAIL_BEGUN in warned or any(text in said for text in _UNKNOWN)
    if is_begun and _MAIL_BEFORE not in warned:
        return {"problem": "no_answer"}
    if any(text in said for text in _UNREACHABLE):
        return {"problem": "unreachable"}
    return {"problem": "refused"}


class _Listener(logging.Handler):
    """Keeps what Apprise says of a failure.

    What it says of messages and answers may be anything: whoever sees a camera or has a service
    can write there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._warned: list[str] = []
        self._reasons: list[str] = []

    @property
    def lines(self) -> tuple[str, str]:
        """Warnings, and the errors of connections; in small letters."""
        return "\n".join(self._warned).lower(), "\n".join(self._reasons).lower()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            self._warned.append(message)
        elif message.startswith("Socket Exception"):
            self._reasons.append(message)


if __name__ == "__main__":
    answers = answer_stream()
    limit_memory(_MEMORY)
    question = json.load(sys.stdin.buffer)
    # Where the page is killed, nobody else would end this.
    signal.alarm(int(question["limit_s"]))
    answers.write(json.dumps(send(question)).encode())
    answers.flush()
