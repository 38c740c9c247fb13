"""Host names and addresses as people write them in settings: IPv6 with brackets or without."""

import re
from ipaddress import ip_address


def bare_host(host: str) -> str:
    """``::1`` of ``[::1]``, as a socket wants it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_and_port(host: str, port: int) -> str:
    """``[::1]:1883``, ``broker:1883``: as it stands in an address."""
    bare = bare_host(host)
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def is_host(text: str) -> bool:
    """Whether it is a name or an address, and neither a URL nor one with a port behind it."""
    if "://" in text or any(sign.isspace() for sign in text):
        return False
    if "[" in text or "]" in text:
        return re.fullmatch(r"\[[0-9A-Fa-f:.]+(?:%\w+)?\]", text) is not None
    # Without brackets, several colons are an IPv6 address.
    return re.fullmatch(r"[^:]*:[0-9]*", text) is None


def is_loopback(host: str) -> bool:
    """Whether it is this machine, and no other."""
    try:
        return ip_address(bare_host(host)).is_loopback
    except ValueError:
        return host == "localhost"
