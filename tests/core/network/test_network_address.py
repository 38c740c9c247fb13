"""Hosts as they are written in settings."""

import pytest

from edge_classifier.core.network.network_address import bare_host, host_and_port, is_host


@pytest.mark.parametrize(
    ("host", "bare", "written"),
    [
        ("broker", "broker", "broker:1883"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1:1883"),
        ("::1", "::1", "[::1]:1883"),
        ("[::1]", "::1", "[::1]:1883"),
        ("fe80::1%eth0", "fe80::1%eth0", "[fe80::1%eth0]:1883"),
    ],
)
def test_host_is_bare_for_sockets_and_bracketed_in_addresses(
    host: str, bare: str, written: str
) -> None:
    assert is_host(host)
    assert bare_host(host) == bare
    assert host_and_port(host, 1883) == written


@pytest.mark.parametrize(
    "text",
    [
        "broker:1883",
        "broker:",
        "[::1]:1883",
        "[::1",
        "::1]",
        "mqtt://h",
        "a b",
        " h",
        "[h]:1",
        "[]",
    ],
)
def test_host_with_a_port_or_a_scheme_is_none(text: str) -> None:
    assert not is_host(text)
