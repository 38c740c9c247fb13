"""What ``edge-classify`` takes beside picture files: videos, and addresses."""

import base64
import json
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_classifier.cli.classify import fetch as fetch_module
from edge_classifier.cli.classify.fetch import fetch, shown_address
from edge_classifier.errors import DownloadError, PictureError
from tests.conftest import Cli
from tests.tiny import Tiny, build


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model that names the brightest colour."""
    path = build(tmp_path / "tiny.tflite", Tiny())
    path.with_suffix(".labels.txt").write_text("red\ngreen\nblue\n", "utf-8")
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds of red, then one and a half of blue."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for colour in [(0, 0, 255)] * 20 + [(255, 0, 0)] * 15:
        writer.write(np.full((48, 64, 3), colour, np.uint8))
    writer.release()
    return path


@pytest.fixture
def red(tmp_path: Path) -> Path:
    path = tmp_path / "red.png"
    Image.new("RGB", (40, 30), "red").save(path)
    return path


def test_of_a_video_each_second_is_classified_between_the_pictures_around_it(
    cli: Cli, film: Path, red: Path, tiny: Path
) -> None:
    model = ("--model", tiny, "--top-k", "1")
    done = cli(red, film, red, *model, "--format", "json")
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    assert [one["image"] for one in records] == [str(red), *[str(film)] * 4, str(red)]
    assert [one.get("at_s") for one in records] == [None, 0.0, 1.0, 2.0, 3.0, None]
    assert [one["predictions"][0]["label"] for one in records[1:5]] == ["red"] * 2 + ["blue"] * 2
    lines = cli(film, *model).stdout.decode().splitlines()
    assert lines[1].startswith(f"{film}#t=1.0\tred 0.9")


def test_a_video_that_cannot_be_decoded_costs_itself_only(
    cli: Cli, red: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no film" * 100)
    done = cli(tmp_path / "bad.mp4", red, "--model", tiny)
    assert done.returncode == 65
    assert b"bad.mp4: cannot be opened. It is no video" in done.stderr
    assert done.stdout.startswith(str(red).encode())


def test_a_video_larger_than_allowed_is_refused(cli: Cli, tmp_path: Path, tiny: Path) -> None:
    path = tmp_path / "large.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (1280, 1024))
    writer.write(np.zeros((1024, 1280, 3), np.uint8))
    writer.release()
    done = cli(path, "--model", tiny, "--max-megapixels", "1")
    assert done.returncode == 65
    assert b"1280 x 1024 pixels; 1 million are allowed" in done.stderr


def test_of_a_video_nothing_is_drawn(cli: Cli, film: Path, tmp_path: Path) -> None:
    done = cli(film, "--annotate", tmp_path / "out.png")
    assert done.returncode == 2
    assert b"is a video, of which nothing is drawn" in done.stderr


class Site(BaseHTTPRequestHandler):
    """Answers as a web server may."""

    def __init__(self, picture: bytes, released: Event, *arguments: object) -> None:
        self.picture, self.released = picture, released
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        name = self.path.partition("?")[0]
        login = f"Basic {base64.b64encode(b'me:hunter2').decode()}"
        if name == "/round.png":
            self.answer(302, location="/round.png")
        elif name == "/moved.png":
            self.answer(302, location="/red.png")
        elif name == "/file.png":
            self.answer(302, location="file:///etc/passwd")
        elif name == "/untold.png":
            self.answer(200, self.picture, "")
        elif name == "/private.png" and self.headers["Authorization"] != login:
            self.answer(401, challenge='Basic realm="x"')
        elif name == "/page.png":
            self.answer(200, b"<html>", "text/html")
        elif name == "/large.png":
            self.answer(200, bytes(20_000), "image/png")
        elif name == "/slow.png":
            self.answer(200, b"\x89PNG", "image/png", length=1000)
            self.wfile.flush()
            self.released.wait(60)
        elif name == "/gone.png":
            self.answer(404)
        else:
            self.answer(200, self.picture, "image/png")

    def answer(
        self, status: int, body: bytes = b"", kind: str = "text/plain", *, length: int = -1,
        location: str = "", challenge: str = "",
    ) -> None:  # fmt: skip
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        if location:
            self.send_header("Location", location)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(red: Path) -> Iterator[str]:
    """HOST:PORT of a server with pictures."""
    released = Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, red.read_bytes(), released))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("name", ["red.png", "moved.png", "untold.png"])
def test_a_picture_behind_an_address_is_fetched_and_classified(
    cli: Cli, site: str, tiny: Path, name: str
) -> None:
    done = cli(f"http://{site}/{name}", "--model", tiny, "--top-k", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == f"http://{site}/{name}\tred 0.996\n"


def test_a_login_in_an_address_is_used_and_never_shown(
    cli: Cli, site: str, tiny: Path, red: Path, tmp_path: Path
) -> None:
    address = f"http://me:hunter2@{site}/private.png?token=hunter2"
    sheet = tmp_path / "sheet.png"
    folder = tmp_path / "drawn"
    done = cli(
        address, red, "--model", tiny, "--format", "json",
        "--contact-sheet", sheet, "--annotate", folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["image"] == f"http://***@{site}/private.png?***"
    assert b"hunter2" not in done.stdout + done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["private.jpg", "red.jpg"]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("gone.png", 69, "answers with HTTP status 404"),
        ("round.png", 69, "cannot be fetched: 127.0.0.1 sends on again and again"),
        ("file.png", 69, "cannot be fetched: 127.0.0.1 sends on to what is no web server"),
        ("page.png", 65, "is text/html, and no picture"),
    ],
)
def test_an_address_that_gives_no_picture_is_told_with_the_reason(
    cli: Cli, site: str, tiny: Path, red: Path, name: str, code: int, words: str
) -> None:
    done = cli(f"http://{site}/{name}", red, "--model", tiny)
    assert done.returncode == code
    assert words in done.stderr.decode()
    # The others are classified all the same.
    assert done.stdout.startswith(str(red).encode())


def test_other_schemes_are_refused_before_anything_is_loaded(cli: Cli) -> None:
    done = cli("rtsp://me:hunter2@host/x")
    assert done.returncode == 2
    assert b"edge-classify watch ADDRESS" in done.stderr
    assert b"hunter2" not in done.stderr


@pytest.mark.parametrize("address", ["http:///red.png", "http://[::1/x.png", "http://h:99999/x"])
def test_an_address_without_a_host_is_refused_before_anything_is_loaded(
    cli: Cli, address: str
) -> None:
    done = cli(address)
    assert done.returncode == 2
    assert b"names no host" in done.stderr


def test_fetch_keeps_no_more_bytes_than_allowed(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "MOST_BYTES", 10_000)
    with pytest.raises(PictureError, match="is larger than"):
        fetch(f"http://{site}/large.png")


def test_fetch_waits_no_longer_than_allowed(site: str) -> None:
    started = time.monotonic()
    with pytest.raises(DownloadError, match=r"did not send it within 0\.5 s"):
        fetch(f"http://{site}/slow.png", time_limit_s=0.5)
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://example.org/photos/2026/cat.jpg", "https://example.org/***/***/cat.jpg"),
        ("HTTPS://example.org/cat.jpg", "HTTPS://example.org/cat.jpg"),
        ("http://example.org/s3cret/x", "http://example.org/***/***"),
        ("http://example.org/cat.jpg?key=s3cret", "http://example.org/cat.jpg?***"),
        ("http://example.org/cat.jpg#s3cret", "http://example.org/***#***"),
        ("http://example.org/user=a_password=s3cret.jpg", "http://example.org/***"),
    ],
)
def test_of_an_address_a_files_name_is_shown_and_nothing_that_may_be_secret(
    address: str, expected: str
) -> None:
    assert shown_address(address) == expected
