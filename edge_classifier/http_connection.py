"""One request to a web server: nothing that it does lasts longer than was allowed."""

import base64
import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from edge_classifier.protocols import Clock

_SCHEMES = ("http", "https")
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_UNAUTHORIZED = 401
_CHUNK = 65_536


class Deadline:
    """The monotonic second by which the server must have sent what is waited for."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._until = clock, clock()

    def allow(self, seconds: float) -> None:
        """From now on."""
        self._until = self._clock() + seconds

    @property
    def left_s(self) -> float:
        """Raises TimeoutError when nothing is left."""
        left = self._until - self._clock()
        if left <= 0:
            raise TimeoutError
        return left


class _Socket(Protocol):
    """A plain socket, or one with TLS."""

    def settimeout(self, value: float | None, /) -> None: ...
    def recv_into(self, buffer: Any, /) -> int: ...
    def sendall(self, data: Any, /) -> None: ...
    def close(self) -> None: ...


class _LimitedReader(io.RawIOBase):
    """What a socket receives until the deadline; its own limit would hold for each read."""

    def __init__(self, connected: _Socket, deadline: Deadline) -> None:
        self._connected, self._deadline = connected, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(self._deadline.left_s)
        return self._connected.recv_into(buffer)

    def close(self) -> None:
        super().close()
        self._connected.close()


class _LimitedSocket:
    """What ``http.client`` needs of a socket."""

    def __init__(self, connected: _Socket, deadline: Deadline) -> None:
        self._connected, self._deadline = connected, deadline

    def sendall(self, data: Any) -> None:
        self._connected.settimeout(self._deadline.left_s)
        self._connected.sendall(data)

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(_LimitedReader(self._connected, self._deadline))

    def close(self) -> None:
        """Nothing: the answer is still to be read, and closes it."""


class RedirectionError(http.client.HTTPException):
    """A server sends on without end, or to what is not a web server; the text says which."""


class TooLargeError(Exception):
    """An answer has more bytes than are kept."""


def read_whole(answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    """The answer's body. Raises TooLargeError, ConnectionError for an empty one, and OSError."""
    body = bytearray()
    while chunk := answer.read1(_CHUNK):
        body += chunk
        if len(body) > most_bytes:
            raise TooLargeError
    if not body:
        raise ConnectionError
    return bytes(body)


def get(
    url: str, deadline: Deadline, *, check_certificates: bool = False
) -> http.client.HTTPResponse:
    """Ask for ``url``, which may hold a login, and follow redirections.

    Whoever reads the answer's body has until ``deadline``, too. Certificates are checked where that
    is asked for: cameras make their own. Raises OSError, ValueError for what is not an address, and
    HTTPException, of which RedirectionError is one.
    """
    login, authorization = urlsplit(url), ""
    for _ in range(_MOST_REDIRECTS):
        headers = {"Authorization": authorization} if authorization else {}
        # It takes a while to make, and is for encrypted connections only.
        context = None
        if urlsplit(url).scheme == "https":
            context = ssl.create_default_context()
            if not check_certificates:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        answer = ask(url, deadline, headers, context)
        if answer.status in _REDIRECTS and (place := answer.headers["Location"]):
            url, authorization = urljoin(url, place), ""
            if urlsplit(url).scheme not in _SCHEMES:
                raise RedirectionError("sends on to what is no web server")
        elif answer.status == _UNAUTHORIZED and not authorization:
            # A login is for the host that it was written for.
            is_meant = urlsplit(url).hostname == login.hostname
            challenges = answer.headers.get_all("WWW-Authenticate", []) if is_meant else []
            authorization = _authorization(url, login.username, login.password, challenges)
            if not authorization:
                return answer
        else:
            return answer
        answer.close()
    raise RedirectionError("sends on again and again")


def ask(
    url: str, deadline: Deadline, headers: Mapping[str, str], context: ssl.SSLContext | None
) -> http.client.HTTPResponse:
    """Ask for ``url`` once, and no other place. The login in it is not sent.

    ``context``: how certificates are checked; None for ``http``, else the system's authorities.
    Raises OSError, ValueError for what is not an address, and HTTPException.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError("no address of a web server")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=deadline.left_s, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=deadline.left_s)
    connection.connect()
    plain: socket.socket = connection.sock
    connection.sock = _LimitedSocket(plain, deadline)
    usual = {"User-Agent": "edge-classifier", "Accept": "*/*", "Connection": "close"}
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={**usual, **headers})
        return connection.getresponse()
    except BaseException:
        plain.close()
        raise


def _authorization(url: str, user: str | None, password: str | None, challenges: list[str]) -> str:
    """The answer to one of ``challenges``; empty: there is none."""
    if user is None:
        return ""
    import urllib.request  # Here, because most cameras ask for no login.

    user, password = unquote(user), unquote(password or "")
    request = urllib.request.Request(url)  # noqa: S310 (it only carries the address)
    for challenge in challenges:
        scheme, _, rest = challenge.strip().partition(" ")
        if scheme.lower() == "digest":
            logins = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            logins.add_password(None, url, user, password)
            handler = urllib.request.HTTPDigestAuthHandler(logins)
            fields = urllib.request.parse_keqv_list(urllib.request.parse_http_list(rest))
            if answer := handler.get_authorization(request, fields):
                return f"Digest {answer}"
        if scheme.lower() == "basic":
            text = f"{user}:{password}".encode()
            return f"Basic {base64.b64encode(text).decode()}"
    return ""
