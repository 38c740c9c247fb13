"""Ports of the loopback interface for servers of tests, whichever process runs them."""

import secrets
import socket

HOST = "127.0.0.1"
# Below those that Linux gives to connections: one of them could take a port before its server, and
# who dials a port of that range where nothing listens may even reach himself.
_PORTS = range(20_000, 32_768)


def free_port() -> int:
    """A port that stays free until somebody of this process listens there."""
    while True:
        port = secrets.choice(_PORTS)
        # The name, which the kernel frees when this process ends, keeps other processes off it.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0edge-classifier-test-port-{port}")
            with socket.socket() as probe:
                probe.bind((HOST, port))
        except OSError:
            claim.close()
        else:
            claim.detach()
            return port
