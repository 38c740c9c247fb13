"""Encryption of a connection to the broker."""

import ssl

from edge_classifier.config.mqtt_settings import TlsSettings


def tls_context(tls: TlsSettings) -> ssl.SSLContext:
    """Raises OSError (ssl.SSLError is one), with the name of the file that is to blame."""
    name = str(tls.ca_file or "the system's certificates")
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.certificate_file and tls.key_file:
            name = f"{tls.certificate_file}, {tls.key_file}"
            # Without a password function OpenSSL would ask on the terminal for that of the key.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password=lambda: "")
    except OSError as error:
        raise OSError(error.errno, f"cannot be used ({error.strerror or error})", name) from error
    context.check_hostname = tls.check_hostname
    return context
