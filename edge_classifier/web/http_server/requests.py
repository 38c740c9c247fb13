"""The server's reader of requests: how large they may be, and what all of them take on the disk."""

import copy
import re
from collections.abc import Callable, Iterable

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from edge_classifier.web.classify.upload_limits import FORM_BYTES, takes_files

# All uploads that are on their way are on the disk together: so many times the largest one. Those
# of one client have half of that.
_LARGEST_AT_ONCE = 4
_LARGEST_OF_ONE_CLIENT = 2
_TRANSFER_ENCODING = re.compile(rb"(?im)^transfer-encoding:[ \t]*(.*?)[ \t\r]*$")
# What Home Assistant's ingress says of a visitor. Its Supervisor takes away what browsers send
# under these names, but only as it spells them itself (supervisor/api/ingress.py): of what comes
# twice, one may be a browser's.
_SAID_ONCE = re.compile(rb"(?im)^(x-remote-user-[a-z-]+|x-ingress-path)[ \t]*:")
_DISK_FULL = "There is no room on the disk of the server."
# No file is that large: who says so wants a number to overflow somewhere.
_NO_SIZE = 1 << 63


class _NoRoomError(Error):
    """The server's answer to an upload while others take all the room."""

    code, reason = 503, "Service Unavailable"


class _DiskFullError(Error):
    """The server's answer to an upload that it has no room for."""

    code, reason = 507, "Insufficient Storage"


class BoundedRequest(HTTPRequestParser):
    """A large body is taken where uploads go, nowhere else.

    Who asks is not known before the body is there, so all uploads share a bounded room on the disk.
    """

    def __init__(
        self,
        adj: Adjustments,
        client: Callable[["BoundedRequest"], str],
        others: Callable[[], Iterable["BoundedRequest"]],
    ) -> None:
        """``client`` of a request; ``others``: all that are read now, or wait for an answer."""
        super().__init__(adj)
        self.adj: Adjustments = adj
        self.error: Error | None = None
        self._largest = adj.max_request_body_size
        self._client, self._others = client, others
        # Known with the headers.
        self.client = ""

    def parse_header(self, header_plus: bytes) -> None:
        """Known now: what is asked for, by whom, and how large it says that it is."""
        super().parse_header(header_plus)
        encodings = _TRANSFER_ENCODING.findall(header_plus)
        # A proxy that reads one and we the other would see different requests (RFC 9112, 6.1, 6.3).
        if encodings and (
            "CONTENT_LENGTH" in self.headers
            or self.version != "1.1"
            or [encoding.lower() for encoding in encodings] != [b"chunked"]
        ):
            raise ParsingError("Transfer-Encoding contradicts the rest of the request")
        said = [name.lower() for name in _SAID_ONCE.findall(header_plus)]
        if len(said) != len(set(said)):
            raise ParsingError("who asks is said twice")
        self.client = self._client(self)
        if not takes_files(self.path):
            self.adj = copy.copy(self.adj)
            self.adj.max_request_body_size = FORM_BYTES
            return
        # With this one, which is among them.
        known: list[BoundedRequest] = [one for one in self._others() if not one.error]
        of_all = sum(request.room for request in known)
        of_client = sum(request.room for request in known if request.client == self.client)
        if (
            of_all > _LARGEST_AT_ONCE * self._largest
            or of_client > _LARGEST_OF_ONE_CLIENT * self._largest
        ):
            self.error = _NoRoomError("Too many uploads at once. Try again.")
            self.completed = True

    def received(self, data: bytes) -> int:
        """Take what has come; refuse a chunk at once that says how much too large it is."""
        try:
            consumed: int = super().received(data)
        except OSError:
            self.error, self.completed = _DiskFullError(_DISK_FULL), True
            return len(data)
        announced = self.body_rcv.chunk_remainder if self.chunked else 0
        if not self.error and announced >= self.adj.max_request_body_size:
            is_size = announced < _NO_SIZE
            self.error = (
                RequestEntityTooLarge(f"exceeds max_body of {self.adj.max_request_body_size}")
                if is_size
                else BadRequest("Invalid chunk size")
            )
            self.completed = True
        return consumed

    @property
    def room(self) -> int:
        """Bytes that its body takes, or may take: one in chunks does not say."""
        return self._largest if self.chunked else int(self.content_length)
