"""Who is one client: an address, or the network of one household."""

import ipaddress

# Bits of an IPv6 address that one household has; the rest it may choose.
_IPV6_HOME = 64


def client_of(address: str) -> str:
    """The client at ``address``: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    # Without the zone, as in fe80::1%eth0, which names a network of this machine.
    return str(ipaddress.IPv6Network((int(found), _IPV6_HOME), strict=False))
