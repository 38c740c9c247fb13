"""Uploads that are too large, and many at once."""

import http.client
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from edge_classifier.web.config.settings import UploadSettings
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.waiting import eventually
from tests.web.classify.uploading import send
from tests.web.conftest import FOLDERS, SETTINGS
from tests.web.serving import Page, hidden_token
from tests.web.working import encoded, image

_MEGA = 1_000_000


@pytest.fixture(autouse=True)
def _installed(change: Callable[..., Services], worker: PictureWorker) -> None:
    cache.clear()  # Uploads of tests before this one count as well.
    change(worker=worker)


def test_file_that_is_too_large_is_not_written_to_the_end(
    viewer: Client, change: Callable[..., Services]
) -> None:
    change(settings=replace(SETTINGS, uploads=UploadSettings(max_mb=0.5)))
    response = send(viewer, encoded(image()) + b"\0" * _MEGA)
    assert response.status_code == 413
    assert b"larger than 0.5 MB" in response.content
    assert not list(FOLDERS.scratch.iterdir())


def test_file_that_is_too_large_is_told_although_csrf_is_checked(
    db: None, change: Callable[..., Services]
) -> None:
    access = replace(SETTINGS.access, allow_anonymous_uploads=True)
    change(settings=replace(SETTINGS, access=access, uploads=UploadSettings(max_mb=0.5)))
    strict = Client(enforce_csrf_checks=True)
    token = hidden_token(strict.get("/").content.decode())
    large = SimpleUploadedFile("large.jpg", b"\0" * _MEGA)
    form = {"csrfmiddlewaretoken": token, "pictures": large}
    assert strict.post("/classify", form).status_code == 413
    large.seek(0)
    assert strict.post("/classify", {"pictures": large}).status_code == 403


def _form(page: Page) -> dict[str, str]:
    """Headers of a visitor who has loaded the form."""
    form = page.ask("/")
    token = hidden_token(form.body)
    cookies = "; ".join(line.partition(";")[0] for line in form.cookies.values())
    return {
        "Cookie": cookies,
        "X-CSRFToken": token,
        "Content-Type": "multipart/form-data; boundary=x",
    }


def _body(length: int) -> Iterator[bytes]:
    """A form with one file of ``length`` bytes, in pieces."""
    yield b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
    for _ in range(length // _MEGA):
        yield b"\xff" * _MEGA
    yield b"\r\n--x--\r\n"


def _status(page: Page, body: Iterator[bytes], headers: dict[str, str], *, chunked: bool) -> int:
    """What the server says; it may do so, and disconnect, before all has been sent."""
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", "/classify", body, headers, encode_chunked=chunked)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def _memory_mb(page: Page, what: str) -> float:
    assert page.process
    status = Path(f"/proc/{page.process.pid}/status").read_text("ascii")
    return int(re.findall(rf"{what}:\s+(\d+) kB", status)[0]) / 1000


def _scratch_bytes(page: Page) -> int:
    """What the server holds on disk, files without a name among them."""
    assert page.process
    found = 0
    for descriptor in Path(f"/proc/{page.process.pid}/fd").iterdir():
        if str(descriptor.resolve()).startswith(str(page.state / "scratch")):
            found += descriptor.stat().st_size
    return found


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[Page]:
    """A real server that visitors may upload to."""
    settings = ("mqtt.enabled=false", "access.allow_anonymous_uploads=true")
    with Page(tmp_path, settings, starts_python=True) as page:
        yield page


def test_uploads_at_the_same_time_are_all_taken_and_leave_the_page_small(open_page: Page) -> None:
    headers = _form(open_page)
    head, tail = next(_body(0)), b"\r\n--x--\r\n"

    def send(width: int) -> int:
        body = head + encoded(image((width, 200))) + tail
        told = {**headers, "Content-Length": str(len(body))}
        return _status(open_page, iter([body]), told, chunked=False)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(200, 212))) == [302] * 12
    assert open_page.process
    mapped = Path(f"/proc/{open_page.process.pid}/maps").read_text("utf-8")
    assert not any(name in mapped for name in ("numpy", "cv2", "PIL", "litert", "tflite"))
    assert _memory_mb(open_page, "VmRSS") < 90


def test_200_mb_are_refused_before_they_are_read(open_page: Page) -> None:
    headers = _form(open_page)
    before = _memory_mb(open_page, "VmRSS")
    length = sum(map(len, _body(200 * _MEGA)))
    told = {**headers, "Content-Length": str(length)}
    assert _status(open_page, _body(200 * _MEGA), told, chunked=False) == 413
    assert _memory_mb(open_page, "VmHWM") < before + 5
    assert _scratch_bytes(open_page) == 0
    assert open_page.ask("/").status == 200


def test_200_mb_of_which_nothing_is_told_are_refused(open_page: Page) -> None:
    headers = {**_form(open_page), "Transfer-Encoding": "chunked"}
    before = _memory_mb(open_page, "VmRSS")
    assert _status(open_page, _body(200 * _MEGA), headers, chunked=True) == 413
    assert _memory_mb(open_page, "VmHWM") < before + 10
    eventually(lambda: _scratch_bytes(open_page) == 0)
    assert open_page.ask("/").status == 200


def test_60_mb_in_one_file_are_refused_in_words_and_cost_no_memory(open_page: Page) -> None:
    headers = _form(open_page)
    before = _memory_mb(open_page, "VmRSS")
    length = sum(map(len, _body(60 * _MEGA)))
    told = {**headers, "Content-Length": str(length)}
    assert _status(open_page, _body(60 * _MEGA), told, chunked=False) == 413
    assert _memory_mb(open_page, "VmHWM") < before + 15
    eventually(lambda: _scratch_bytes(open_page) == 0)
    assert not list((open_page.state / "scratch").iterdir())
