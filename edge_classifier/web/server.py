"""The web server: starts its services, serves, ends them."""

import ctypes
import gc
import logging
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any

from django.apps import apps
from django.db import connections
from django.urls import reverse
from waitress.adjustments import Adjustments

from edge_classifier.errors import StorageError, UnavailableError
from edge_classifier.malloc import M_ARENA_MAX, M_MMAP_THRESHOLD, mallopt
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.web.accounts.ingress import PageHandler
from edge_classifier.web.classify.upload_limits import HEADER_BYTES, request_limit
from edge_classifier.web.config.folders import Folders, make_folders
from edge_classifier.web.config.hosts import addresses, bracketed, is_open
from edge_classifier.web.config.settings import ServerSettings, WebSettings
from edge_classifier.web.error_views import passes
from edge_classifier.web.http_server.connections import ConnectionLimits, listen
from edge_classifier.web.http_server.dispatcher import Dispatcher, ThreadPool
from edge_classifier.web.http_server.ingress import believe_ingress
from edge_classifier.web.services import start_services

_log = logging.getLogger(__name__)
# Two memory pools, where glibc would have one for each thread, which is 6 MB more
# after a while; and large blocks are the system's own, which go back to it when they are freed:
# glibc would take larger and larger ones out of its pools, which then stay as large as they were.
_MALLOC_OPTIONS = {M_ARENA_MAX: 2, M_MMAP_THRESHOLD: 131_072}
# What freed blocks leave free between others goes back to the system so often, if glibc is asked: 3
# to 6 MB after the start and after many pages. It takes some milliseconds.
_TRIM_S = 30.0
# Bytes of a request or a response that are in memory while they wait; the rest is on the disk.
_BUFFERED = 65_536
# Bytes of a response that wait for its reader; then the thread that makes it waits, too.
_AHEAD = 4_000_000
# Passwords that are checked at the same time, each for another client. They take all of a core.
_LOGIN_THREADS = 2
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
    for option, value in _MALLOC_OPTIONS.items():
        mallopt(option, value)
    # Large requests wait on the disk, not in a /tmp of memory; those of a killed server go.
    shutil.rmtree(folders.scratch, ignore_errors=True)
    make_folders(folders)
    tempfile.tempdir = str(folders.scratch)
    with ExitStack() as stack:
        # First, so that nothing is begun where the address is taken. Whoever asks already waits.
        server = _listen(settings)
        stack.callback(server.close)
        services = start_services(settings, folders, stack)
        ended = threading.Event()
        threading.Thread(target=_trim_memory, args=(ended,), name="memory", daemon=True).start()
        stack.callback(ended.set)
        apps.get_app_config("web").services = services

        def end(_signal: int, _frame: FrameType | None) -> None:
            # Open streams first: the server would wait for them.
            if services.live:
                services.live.end_streams()
            raise SystemExit(0)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        # Who reads this may end it at once.
        _print_addresses(settings.server, services.invitation.link())
        ready()
        # What is there now stays: no collection needs to look at it again.
        gc.collect()
        gc.freeze()
        server.run()


def _trim_memory(ended: threading.Event) -> None:
    """Have glibc return what is free, now and then, until ``ended``."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim and not ended.wait(_TRIM_S):
        gc.collect()
        trim(ctypes.c_size_t(0))


def _quiet_loggers() -> None:
    """No lines, or short ones, for what anybody in the network can cause: a card wears out."""

    def without_traceback(record: logging.LogRecord) -> bool:
        # Of requests that Django refuses, each kind under a name of its own.
        if record.name.startswith("django.security."):
            record.exc_info = None
            # It is theirs, and no fault of ours.
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        error = record.exc_info[1] if record.exc_info else None
        if passes(error):
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
    Adjustments.socket_options = [(socket.SOL_TCP, socket.TCP_NODELAY, 1), buffer]
    # A proxy on this machine, or Home Assistant's, is believed who asks, and how; nobody else is.
    proxy: dict[str, Any] = {"clear_untrusted_proxy_headers": True}
    if server.behind_tls:
        proxy["trusted_proxy"] = "::1" if ":" in server.host else "127.0.0.1"
        proxy["trusted_proxy_headers"] = {"x-forwarded-for", "x-forwarded-proto"}
    application: Callable[..., Any] = PageHandler()
    if ingress := settings.server.ingress.proxy:
        proxy["trusted_proxy"] = ingress
        proxy["trusted_proxy_headers"] = {"x-forwarded-host", "x-forwarded-proto"}
        application = believe_ingress(application, ingress)
    dispatcher = _dispatcher(server)
    limits = ConnectionLimits(
        connections=server.connections,
        response_s=60 * server.download_minutes,
    )
    adjustments = {
        "host": server.host.strip("[]"),
        "port": server.port,
        "max_request_header_size": HEADER_BYTES,
        "max_request_body_size": request_limit(settings.uploads),
        "inbuf_overflow": _BUFFERED,
        "outbuf_overflow": _BUFFERED,
        "outbuf_high_watermark": _AHEAD,
        "channel_request_lookahead": 1,  # Tells at once that a live page has gone.
        "ident": None,
        **proxy,
    }
    apart = dispatcher.apart_if_streaming(application)
    try:
        return listen(apart, dispatcher, limits, adjustments)
    except (OSError, ValueError) as error:  # ValueError: a host name without an address.
        where = f"{bracketed(server.host)}:{server.port}"
        problem = f"cannot be listened on ({getattr(error, 'strerror', None) or error})"
        remedy = "--port takes another port, --host another address."
        raise UnavailableError(where, problem, remedy) from error


def _dispatcher(server: ServerSettings) -> Dispatcher:
    """The threads: half of them for one client, and some of their own for what must not wait."""

    def pool(name: str, threads: int, most_each: int) -> ThreadPool:
        return ThreadPool(name, threads, most_each, at_thread_end=connections.close_all)

    health = pool("health", 1, 1)
    special = {
        ("GET", reverse("health")): health,
        ("HEAD", reverse("health")): health,
        ("POST", reverse("login")): pool("login", _LOGIN_THREADS, 1),
    }
    requests = pool("request", server.threads, max(1, server.threads // 2))
    return Dispatcher(requests, special, server.streams + server.downloads)


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
