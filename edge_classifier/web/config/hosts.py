"""The names by which this machine is reached."""

import ipaddress
import socket
from collections.abc import Iterator

from edge_classifier.web.config.settings import ServerSettings

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_EVERYWHERE = ("0.0.0.0", "::", "[::]")  # noqa: S104 (to be recognized)


def is_open(host: str) -> bool:
    """Whether others than this machine can reach a server that listens on ``host``."""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return True


def allowed_hosts(server: ServerSettings) -> list[str]:
    """The host names that a browser may ask for, so that no other page can pass for this one.

    Behind a proxy, browsers ask for this machine's names though it listens on loopback only.
    """
    if server.allowed_hosts:
        return [*_LOOPBACK, *server.allowed_hosts]
    if not is_open(server.host) and not server.behind_tls:
        return list(_LOOPBACK)
    return list(dict.fromkeys([*_LOOPBACK, *own_names(server.host)]))


def own_names(host: str) -> list[str]:
    """Names and addresses by which others may reach a server that listens on ``host``."""
    if is_open(host) and host not in _EVERYWHERE:
        return [bracketed(host)]
    name = socket.gethostname()
    short = name.partition(".")[0]
    return list(dict.fromkeys([f"{short}.local", name, short, *_addresses()]))


def bracketed(host: str) -> str:
    """``host`` as it is written in an address: IPv6 in brackets."""
    return f"[{host.strip('[]')}]" if ":" in host else host


def addresses(server: ServerSettings) -> list[str]:
    """Where to point a browser, the best address first."""
    if server.behind_tls:
        name = server.allowed_hosts[0] if server.allowed_hosts else own_names(server.host)[0]
        return [f"https://{name}/"]
    found = ["localhost"] if server.host in _EVERYWHERE else [bracketed(server.host)]
    if server.host in _EVERYWHERE:
        found += server.allowed_hosts or [*_addresses()]
    return [f"http://{host}:{server.port}/" for host in dict.fromkeys(found)]


def _addresses() -> Iterator[str]:
    """This machine's addresses, that of the way out first. Nothing is sent."""
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((outside, 9))
                address = probe.getsockname()[0]
        except OSError:
            continue
        yield bracketed(address)
