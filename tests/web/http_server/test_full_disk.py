"""A disk that is full ends no answer, and an upload is refused with a reason."""

import http.client
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("waitress", reason="the extra [web] is not installed")

from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.test import Client

from edge_classifier.web.http_server.buffers import ResponseBuffer, keep_answers_on_a_full_disk
from tests import smalldisk
from tests.web.http_server.test_connections import HOST, PATIENT, serving

LARGE = bytes(range(256)) * 2000


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where temporary files go."""
    with smalldisk.tmpfs(tmp_path / "disk", "1m") as disk:
        smalldisk.fill(disk)
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        yield


class Large:
    """Answers something large, in parts, and takes what is sent."""

    def __call__(self, _: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(len(LARGE)))])
        return [LARGE[at : at + 100_000] for at in range(0, len(LARGE), 100_000)]


def asked(port: int, body: bytes | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=20)
    try:
        connection.request("POST" if body else "GET", "/classify", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.usefixtures("full_disk")
def test_large_answer_is_whole_on_a_full_disk() -> None:
    with serving(Large(), PATIENT, outbuf_overflow=65_536) as port:
        assert asked(port) == (200, LARGE)


@pytest.mark.usefixtures("full_disk")
def test_large_upload_is_refused_on_a_full_disk_with_a_reason() -> None:
    with serving(Large(), PATIENT, inbuf_overflow=65_536) as port:
        status, said = asked(port, LARGE[:100_000])
    assert status == http.client.INSUFFICIENT_STORAGE
    assert b"no room on the disk" in said


@pytest.mark.usefixtures("full_disk")
def test_answer_that_was_read_in_part_goes_on_where_it_was() -> None:
    keep_answers_on_a_full_disk()
    buffer = ResponseBuffer(50_000)
    buffer.append(LARGE[:40_000])
    buffer.skip(10_000)
    for at in range(40_000, 200_000, 20_000):
        buffer.append(LARGE[at : at + 20_000])
    assert len(buffer) == 190_000
    assert buffer.get() == LARGE[10_000:200_000]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "words"),
    [("/classify", "no room on the server"), ("/api/v1/classify", "Insufficient Storage")],
)
def test_upload_that_cannot_be_kept_is_told_to_its_sender(
    path: str, words: str, reviewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TemporaryFileUploadHandler, "receive_data_chunk", fail)
    reviewer.raise_request_exception = False
    answer = reviewer.post(path, {"pictures": SimpleUploadedFile("a.jpg", b"picture")})
    assert answer.status_code == http.client.INSUFFICIENT_STORAGE
    assert words in answer.content.decode()
