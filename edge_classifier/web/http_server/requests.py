"""The server's reader of requests: how large they may be, and what all of them take on the disk."""

import copy
from collections.abc import Callable, Iterable

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser
from waitress.utilities import Error

from edge_classifier.web.classify.upload_limits import FORM_BYTES, UPLOAD_PATHS

# All uploads that are on their way are on the disk together: so many times the largest one. Those
# of one client have half of that.
_LARGEST_AT_ONCE = 4
_LARGEST_OF_ONE_CLIENT = 2


class _NoRoomError(Error):
    """The server's answer to an upload while others take all the room."""

    code, reason = 503, "Service Unavailable"


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
        self.client = self._client(self)
        if self.path not in UPLOAD_PATHS:
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

    @property
    def room(self) -> int:
        """Bytes that its body takes, or may take: one in chunks does not say."""
        return self._largest if self.chunked else int(self.content_length)
