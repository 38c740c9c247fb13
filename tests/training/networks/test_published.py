"""Published weights from a real HTTP server on the loopback interface."""

import hashlib
from dataclasses import replace

import pytest

from edge_classifier.errors import DownloadError
from edge_classifier.modelfile.catalogue import Entry, cache_folder
from edge_classifier.training.networks import published
from tests.modelfile.test_pull import Server, serving

BODY = b"weights" * 1000


def entry(server: Server, body: bytes = BODY) -> Entry:
    """torchvision's entry, at ``server``."""
    digest = hashlib.sha256(body).hexdigest()
    return replace(published.TORCHVISION_WEIGHTS, url=server.url, sha256=digest)


def test_torchvisions_file_name_carries_the_start_of_the_hash_that_is_demanded() -> None:
    """The convention of torch.hub, by which torchvision publishes."""
    wanted = published.TORCHVISION_WEIGHTS
    assert len(wanted.sha256) == 64
    assert f"-{wanted.sha256[:8]}.pth" in wanted.file
    assert wanted.url.startswith("https://download.pytorch.org/")
    assert wanted.url.endswith(wanted.file)


def test_fetch_keeps_the_verified_file_and_asks_once() -> None:
    steps: list[tuple[int, int]] = []
    with serving(BODY) as server:
        path = published.fetch(entry(server), lambda *step: steps.append(step))
        again = published.fetch(entry(server), lambda *_: None)
        assert server.requests == 1
    assert path == again
    assert path.read_bytes() == BODY
    assert path.is_relative_to(cache_folder())
    assert steps[-1] == (len(BODY), len(BODY))


def test_fetch_other_bytes_than_published_keeps_nothing() -> None:
    with serving(BODY[:-1] + b"!") as server, pytest.raises(DownloadError, match="SHA-256"):
        published.fetch(entry(server), lambda *_: None)
    assert list((cache_folder() / "weights").iterdir()) == []


def test_fetch_without_a_network_says_how_to_do_without() -> None:
    with serving(BODY) as server:
        wanted = entry(server)
    with pytest.raises(DownloadError) as caught:
        published.fetch(wanted, lambda *_: None)
    text = str(caught.value)
    assert wanted.url in text
    assert str(cache_folder() / "weights" / wanted.file) in text
    assert "pretrained embedded" in text
    assert "models verify" not in text
