"""The names by which this machine is reached."""

import ipaddress
import socket
from collections.abc import Iterator

from edge_classifier.web.settings import Server

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def is_open(host: str) -> bool:
    """Whether others than this machine can reach a server that listens on ``host``."""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return True


def allowed_hosts(server: Server) -> list[str]:
    """The host names that a browser may ask for, so that no other page can pass for this one."""
    if server.allowed_hosts:
        return [*_LOOPBACK, *server.allowed_hosts]
    if not is_open(server.host):
        return list(_LOOPBACK)
    name = socket.gethostname()
    return list(dict.fromkeys([*_LOOPBACK, name, f"{name}.local", server.host, *_addresses()]))


def _addresses() -> Iterator[str]:
    """This machine's addresses, that of the way out first. Nothing is sent."""
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((outside, 9))
                address = probe.getsockname()[0]
        except OSError:
            continue
        yield f"[{address}]" if family == socket.AF_INET6 else address
