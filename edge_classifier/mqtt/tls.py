"""Encryption of the connection to the broker."""

import contextlib
import ssl
from collections.abc import Iterator

from edge_classifier.config.settings import TlsSettings


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError is one), with the file's name where one is to blame."""
    with _naming(str(tls.ca_file or "the system's certificates")):
        context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.certificate_file and tls.key_file:
        with _naming(f"{tls.certificate_file}, {tls.key_file}"):
            # Without a password function OpenSSL would ask on the terminal for that of the key.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: "")
    context.check_hostname = tls.check_hostname
    return context


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Errors about a file say which one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot be used ({error.strerror or error})", name) from error
