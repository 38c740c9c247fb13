"""The composition root of the page: builds its parts, starts them, serves, ends them."""

import logging
import signal
import sys
import tempfile
from contextlib import ExitStack
from types import FrameType

from django.core.wsgi import get_wsgi_application
from waitress.server import create_server

from edge_classifier.errors import UnavailableError
from edge_classifier.web import first_run
from edge_classifier.web.configuration import Places
from edge_classifier.web.hosts import is_open
from edge_classifier.web.housekeeping import Housekeeping
from edge_classifier.web.limits import request_limit
from edge_classifier.web.live.live import Live
from edge_classifier.web.parts import Parts, install
from edge_classifier.web.recorder.recorder import Recorder
from edge_classifier.web.settings import Server, Settings
from edge_classifier.web.worker.client import Worker

_log = logging.getLogger(__name__)
_IDLE_CONNECTION_S = 120


def serve(settings: Settings, places: Places) -> None:
    """Serve until SIGTERM or SIGINT. To be called after ``start.configure`` and ``migrate``.

    Raises UnavailableError when the address is taken.
    """
    tempfile.tempdir = str(places.scratch)  # Large requests wait there, not in a /tmp of memory.
    with ExitStack() as stack:
        install(_parts(settings, places, stack))
        server = _server(settings)
        stack.callback(server.close)
        _tell(settings.server, first_run.link())
        signal.signal(signal.SIGTERM, _end)
        server.run()


def _parts(settings: Settings, places: Places, stack: ExitStack) -> Parts:
    """All parts, started; ``stack`` ends them, the last one first."""
    worker = Worker(settings.classify, settings.uploads, places.models)
    stack.callback(worker.close)
    live = recorder = None
    if settings.mqtt.enabled:
        live = Live(settings)
        live.start()
        stack.callback(live.stop)
    if settings.mqtt.enabled and settings.record.enabled:
        recorder = Recorder(settings)
        recorder.start()
        stack.callback(recorder.stop)
    housekeeping = Housekeeping(settings.retention, places)
    housekeeping.start()
    stack.callback(housekeeping.stop)
    return Parts(settings, places, worker, live, recorder)


def _server(settings: Settings) -> "create_server":
    server = settings.server
    proxy = {"trusted_proxy": "127.0.0.1", "trusted_proxy_headers": _PROXY_HEADERS}
    try:
        return create_server(
            get_wsgi_application(),
            host=server.host,
            port=server.port,
            threads=server.threads + server.streams,
            max_request_body_size=request_limit(settings.uploads),
            channel_timeout=_IDLE_CONNECTION_S,
            ident=None,
            clear_untrusted_proxy_headers=True,
            **(proxy if server.behind_tls else {}),
        )
    except OSError as error:
        where = f"{server.host}:{server.port}"
        remedy = "--port takes another, --host another address."
        problem = f"cannot be listened on ({error.strerror or error})"
        raise UnavailableError(where, problem, remedy) from error


_PROXY_HEADERS = {"x-forwarded-for", "x-forwarded-proto"}


def _tell(server: Server, link: str) -> None:
    """Say where the page is, and what is dangerous about it."""
    host = "localhost" if server.host in ("0.0.0.0", "::") else server.host  # noqa: S104
    address = f"http://{f'[{host}]' if ':' in host else host}:{server.port}/"
    print(f"The page is at {address}", flush=True)
    if link:
        print(f"Make the first administrator there: {address}{link}", flush=True)
    if is_open(server.host) and not server.behind_tls:
        _log.warning(
            "ANYBODY IN THE NETWORK CAN READ PASSWORDS AND PICTURES on their way to %s: it is open"
            " (--host) and without TLS. docs/web.md shows a proxy that adds TLS.",
            address,
        )
    sys.stdout.flush()


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
