"""Why nothing came from a server, in words for people."""

import http.client
import socket
import ssl


def why_unreachable(error: BaseException, host: str) -> str:
    """A sentence about ``host``, by the innermost cause of ``error``, which says the most.

    A function of its own: kept in a variable of the caller, the cause would keep the frame that
    keeps it, and the connection in it open.
    """
    while inner := error.__cause__ or error.__context__:
        error = inner
    not_found = f"the address of {host} is not found; is there a network, and a name server?"
    bad = f"the certificate of {host} is not good ({getattr(error, 'verify_message', '')})"
    sentences: tuple[tuple[type[BaseException], str], ...] = (
        (TimeoutError, f"{host} does not answer in time"),
        (socket.gaierror, not_found),
        (ConnectionRefusedError, f"nothing answers at {host}"),
        (ssl.SSLCertVerificationError, f"{bad}; is the clock right?"),
        (ConnectionError, f"the connection to {host} ended too early"),
        (http.client.HTTPException, f"the connection to {host} ended too early"),
        (OSError, f"{host} is not reached ({getattr(error, 'strerror', '')})"),
    )
    other = f"{type(error).__name__}: {str(error)[:150]}"
    return next((text for kind, text in sentences if isinstance(error, kind)), other)
