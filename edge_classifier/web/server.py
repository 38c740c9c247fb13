"""The web server: starts its services, serves, ends them."""

import ctypes
import logging
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any

from django.apps import apps
from django.core.wsgi import get_wsgi_application
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, create_server

from edge_classifier.errors import StorageError, UnavailableError
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.web.classify.upload_limits import HEADER_BYTES, BoundedChannel, request_limit
from edge_classifier.web.error_views import AWAY
from edge_classifier.web.folders import Folders, make_folders
from edge_classifier.web.hosts import addresses, bracketed, is_open
from edge_classifier.web.services import start_services
from edge_classifier.web.settings import ServerSettings, WebSettings

_log = logging.getLogger(__name__)
_IDLE_CONNECTION_S = 120
# Of mallopt(3).
_M_ARENA_MAX = -8
_ARENAS = 2
# Bytes. The system's 2.5 MB is what waitress would hold of a large file for each connection.
_SEND_BUFFER = 65_536


def serve(settings: WebSettings, folders: Folders, ready: Callable[[], object]) -> None:
    """Serve until SIGTERM or SIGINT. To be called after ``startup.configure`` and ``migrate``.

    ``ready`` is called when the page answers. Raises UnavailableError when the address is taken,
    MissingFileError and ContractError when the catalogue of models cannot be read.
    """
    # Pages and the child process read it whenever they need it: said now, not to the first visitor.
    load_catalogue()
    _quiet_loggers()
    # A memory pool for each thread, as is glibc's way, is 6 MB more after a while.
    with suppress(AttributeError):  # Another C library, which has no such call.
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    # Large requests wait on the disk, not in a /tmp of memory; those of a killed server go.
    shutil.rmtree(folders.scratch, ignore_errors=True)
    make_folders(folders)
    tempfile.tempdir = str(folders.scratch)
    with ExitStack() as stack:
        # First, so that nothing is begun where the address is taken. Whoever asks already waits.
        server = _listen(settings)
        stack.callback(server.close)
        services = start_services(settings, folders, stack)
        apps.get_app_config("web").services = services
        _print_addresses(settings.server, services.invitation.link())

        def end(_signal: int, _frame: FrameType | None) -> None:
            # Open streams first: the server would wait for them.
            if services.live:
                services.live.end_streams()
            raise SystemExit(0)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        ready()
        server.run()


def _quiet_loggers() -> None:
    """No lines, or short ones, for what anybody in the network can cause: a card wears out."""

    def without_traceback(record: logging.LogRecord) -> bool:
        # Of requests that Django refuses, each kind under a name of its own.
        if record.name.startswith("django.security."):
            record.exc_info = None
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, AWAY):
            detail = error.detail if isinstance(error, StorageError) else ""
            record.msg, record.args = f"{record.getMessage()}: {error} {detail}".strip(), ()
            record.exc_info = None
        return True

    logging.getLogger("django.request").addFilter(
        lambda record: getattr(record, "status_code", 500) >= 500
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(without_traceback)
    for name in ("axes", "waitress"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _listen(settings: WebSettings) -> Any:
    """The server, which listens but does not answer yet. Raises UnavailableError."""
    server = settings.server
    buffer = (socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    BaseWSGIServer.channel_class = BoundedChannel
    Adjustments.socket_options = [(socket.SOL_TCP, socket.TCP_NODELAY, 1), buffer]
    # A proxy on this machine is believed who asks, and how; nobody else is.
    proxy: dict[str, Any] = {"clear_untrusted_proxy_headers": True}
    if server.behind_tls:
        proxy["trusted_proxy"] = "::1" if ":" in server.host else "127.0.0.1"
        proxy["trusted_proxy_headers"] = {"x-forwarded-for", "x-forwarded-proto"}
    try:
        return create_server(
            get_wsgi_application(),
            host=server.host.strip("[]"),
            port=server.port,
            threads=server.threads + server.streams,
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=request_limit(settings.uploads),
            channel_timeout=_IDLE_CONNECTION_S,
            channel_request_lookahead=1,  # Tells at once that a live page has gone.
            ident=None,
            **proxy,
        )
    except (OSError, ValueError) as error:  # ValueError: a host name without an address.
        where = f"{bracketed(server.host)}:{server.port}"
        problem = f"cannot be listened on ({getattr(error, 'strerror', None) or error})"
        remedy = "--port takes another port, --host another address."
        raise UnavailableError(where, problem, remedy) from error


def _print_addresses(server: ServerSettings, link: str) -> None:
    """Say where the page is, and what is dangerous about it."""
    found = addresses(server)
    print(f"The page is at {' and '.join(found)}", flush=True)
    if link:
        print(f"Make the first administrator there: {found[0]}{link}", flush=True)
    if is_open(server.host) and not server.behind_tls:
        _log.warning(
            "ANYBODY IN THE NETWORK CAN READ PASSWORDS AND PICTURES on their way to %s: it is open"
            " (--host) and without TLS. docs/web.md shows a proxy that adds TLS.",
            found[-1],
        )
