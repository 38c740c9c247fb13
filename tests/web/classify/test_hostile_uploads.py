"""What strangers may send: nothing of it is kept as it came, and nothing of it ends the page."""

import gc
import logging
import os
import re
import signal
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client
from PIL import Image, ImageCms

from edge_classifier.web.models import Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web.classify.uploading import send
from tests.web.conftest import FOLDERS
from tests.web.working import decoded, encoded, image, working

_SCRIPT = b"<script>alert(document.domain)</script>"


@pytest.fixture(autouse=True)
def _installed(change: Callable[..., Services], worker: PictureWorker) -> None:
    cache.clear()  # Uploads of tests before this one count as well.
    change(worker=worker)


def _kept() -> bytes:
    """The only picture that is kept."""
    record = Record.objects.get()
    return picture_storage.read(picture_storage.picture_name(record.picture.sha256))


def _png(width: int, height: int, rows: bytes) -> bytes:
    """A PNG of one bit a pixel, whatever ``rows`` are."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _bomb() -> bytes:
    """900 million black pixels in 110 KB."""
    packed = zlib.compressobj(9)
    row = b"\0" * (1 + 30_000 // 8)
    return _png(
        30_000, 30_000, b"".join(packed.compress(row) for _ in range(30_000)) + packed.flush()
    )


def _zip() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil.js", _SCRIPT)
    return file.getvalue()


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"<html>" + _SCRIPT + b"</html>", id="page"),
        pytest.param(_zip(), id="archive"),
        pytest.param(b"*/=alert(1);/*" + _SCRIPT, id="script"),
        pytest.param(b"%PDF-1.4 " + _SCRIPT, id="document"),
    ],
)
def test_polyglot_loses_its_other_half(viewer: Client, payload: bytes) -> None:
    response = send(viewer, encoded(image(), comment=_SCRIPT) + payload)
    assert response.status_code == 302
    kept = _kept()
    assert _SCRIPT not in kept
    assert payload not in kept
    assert kept.endswith(b"\xff\xd9")
    assert decoded(kept).size == (320, 240)


_GIF_FRAME = (
    b"GIF89a\x01\0\x01\0\0\0\0," + struct.pack("<HHHH", 0, 0, 65_535, 65_535) + b"\0\x02\0;"
)


_TIFF = b"II*\0\x08\0\0\0" + struct.pack("<HHHIIHHIII", 2, 256, 4, 1, 60_000, 257, 4, 1, 60_000, 0)


_REFUSED = [
    pytest.param(b"", "is empty", id="empty"),
    pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'>" + _SCRIPT, "no", id="svg"),
    pytest.param(b"<!doctype html>" + _SCRIPT, "is not a picture", id="html"),
    pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not a picture", id="postscript"),
    pytest.param(_zip(), "is not a picture", id="zip"),
    pytest.param(b"\xff\xd8\xff\xe0" + os.urandom(2000), "it", id="noise"),
    pytest.param(encoded(image())[:2000], "cannot be decoded", id="truncated"),
    pytest.param(encoded(image())[:40], "it", id="header-only"),
    pytest.param(_bomb(), "30000 x 30000 pixels; 50 million", id="bomb"),
    pytest.param(_png(2**31 - 1, 2**31 - 1, b""), "it", id="bomb-of-words"),
    pytest.param(_png(7000, 7000, b""), "cannot be decoded", id="promises-more"),
    pytest.param(_GIF_FRAME, "it", id="gif-frame-beyond-its-screen"),
    pytest.param(_TIFF, "it", id="tiff-without-pixels"),
    pytest.param(_TIFF[:-4] + struct.pack("<I", 8), "it", id="tiff-that-follows-itself"),
]


@pytest.mark.parametrize(("content", "reason"), _REFUSED)
def test_file_that_is_no_whole_picture_is_refused(
    viewer: Client, content: bytes, reason: str
) -> None:
    response = send(viewer, content)
    assert response.status_code == 422
    assert reason in response.content.decode()
    assert _SCRIPT not in response.content
    assert not Record.objects.exists()
    assert send(viewer, encoded(image())).status_code == 302


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../../../../tmp/evil.jpg", id="path"),
        pytest.param("C:\\windows\\evil.jpg", id="windows-path"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("a\r\nX-Evil: 1\r\n.jpg", id="line-breaks"),
        pytest.param("图片 \u202egnp.exe 🐈.jpg", id="unicode"),
        pytest.param("a." + "x" * 600, id="long-ending"),
        pytest.param("x" * 600 + ".jpg", id="long"),
        pytest.param("a\0b.jpg", id="nul"),
        pytest.param("<img src=x onerror=alert(1)>.jpg", id="markup"),
    ],
)
def test_file_name_reaches_neither_disk_nor_markup(viewer: Client, name: str) -> None:
    before = set(FOLDERS.state.rglob("*"))
    assert send(viewer, b"no picture", name).status_code in {400, 422}
    response = send(viewer, encoded(image()), name)
    assert response.status_code == 302
    assert b"onerror=alert(1)>" not in send(viewer, b"no picture", name).content
    new = [path.name for path in set(FOLDERS.state.rglob("*")) - before if path.is_file()]
    assert all(re.fullmatch(r"[0-9a-f]{64}\.jpg|.*\.db(-wal|-shm)?", found) for found in new)


def test_places_and_all_else_beside_the_pixels_are_not_kept(viewer: Client) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 24.0), 3: "E", 4: (2.0, 21.0, 3.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    sent = encoded(image(), exif=exif, icc_profile=profile, comment=b"Secret Comment")
    assert decoded(sent).getexif().get_ifd(0x8825)
    assert send(viewer, sent).status_code == 302
    kept = decoded(_kept())
    assert not kept.getexif()
    assert set(kept.info) <= {"jfif", "jfif_version", "jfif_density", "jfif_unit", "dpi"}
    assert b"Secret" not in _kept()


def test_orientation_is_applied(viewer: Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held upright: its right is the top.
    assert send(viewer, encoded(image((300, 200)), exif=exif)).status_code == 302
    kept = decoded(_kept()).convert("L")
    assert kept.size == (200, 300)
    sent = image((300, 200)).rotate(-90, expand=True).convert("L")
    assert kept.getpixel((100, 10)) == pytest.approx(sent.getpixel((100, 10)), abs=10)
    assert kept.getpixel((100, 290)) != pytest.approx(sent.getpixel((100, 10)), abs=10)
    record = Record.objects.get()
    assert (record.picture.width, record.picture.height) == (200, 300)


def _animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (320, 240), colour) for colour in ("red", "lime", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize(
    ("content", "colour"),
    [
        pytest.param(_animated("GIF"), (255, 0, 0), id="animated-gif"),
        pytest.param(_animated("WEBP"), (255, 0, 0), id="animated-webp"),
        pytest.param(_animated("PNG"), (255, 0, 0), id="animated-png"),
        pytest.param(
            encoded(Image.new("CMYK", (320, 240), (0, 255, 255, 0))), (255, 0, 0), id="cmyk"
        ),
        pytest.param(
            encoded(Image.new("RGBA", (320, 240), (0, 0, 0, 0)), "PNG"), (255,) * 3, id="clear"
        ),
        pytest.param(
            encoded(Image.new("I;16", (320, 240), 65_535), "PNG"), (255,) * 3, id="sixteen-bit"
        ),
        pytest.param(encoded(Image.new("1", (320, 240), 0), "TIFF"), (0,) * 3, id="two-colours"),
        pytest.param(encoded(Image.new("P", (320, 240), 0), "BMP"), (0,) * 3, id="palette"),
    ],
)
def test_unusual_picture_is_kept_as_one_plain_jpeg(
    viewer: Client, content: bytes, colour: tuple[int, int, int]
) -> None:
    assert send(viewer, content).status_code == 302
    kept = decoded(_kept())
    assert (kept.format, kept.mode, getattr(kept, "n_frames", 1)) == ("JPEG", "RGB", 1)
    assert kept.getpixel((160, 120)) == pytest.approx(colour, abs=8)


def test_picture_of_an_iphone_is_kept_as_a_plain_jpeg_where_the_extra_is_installed(
    viewer: Client,
) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    heif.register_heif_opener()
    assert send(viewer, encoded(Image.new("RGB", (320, 240), "red"), "HEIF")).status_code == 302
    kept = decoded(_kept())
    assert kept.format == "JPEG"
    assert kept.getpixel((160, 120)) == pytest.approx((255, 0, 0), abs=8)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_picture_of_an_odd_shape_is_taken(viewer: Client, size: tuple[int, int]) -> None:
    assert send(viewer, encoded(image(size), "PNG")).status_code == 302
    assert decoded(_kept()).size


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"--x\r\n", id="only-a-boundary"),
        pytest.param(b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--", id="no-name"),
        pytest.param(b"\xff" * 3000, id="noise"),
        pytest.param(
            b'--x\r\nContent-Disposition: form-data; name="pictures"; filename=".."\r\n\r\na\r\n',
            id="dots",
        ),
    ],
)
def test_form_that_is_broken_is_refused(viewer: Client, body: bytes) -> None:
    response = viewer.post("/classify", body, content_type="multipart/form-data; boundary=x")
    assert response.status_code in {400, 422}
    assert not Record.objects.exists()


# Django leaves such a file to the collector, which then says that nobody had closed it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_form_that_breaks_off_in_a_file_leaves_nothing_on_disk(
    viewer: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "django.request")  # Its records would keep the request.
    body = (
        b'--x\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!\r\n--x--"
    )
    response = viewer.post("/classify", body, content_type="multipart/form-data; boundary=x")
    assert response.status_code == 400
    del response
    gc.collect()
    assert not list(FOLDERS.scratch.iterdir())


@pytest.mark.parametrize("kind", ["text/plain", "image/jpeg", "multipart/form-data"])
def test_body_that_is_no_form_is_refused(viewer: Client, kind: str) -> None:
    response = viewer.post("/classify", encoded(image()), content_type=kind)
    assert response.status_code == 400


def test_child_that_is_killed_costs_one_upload(viewer: Client, worker: PictureWorker) -> None:
    worker.thumbnail(encoded(image()))
    assert worker.pid
    os.kill(worker.pid, signal.SIGKILL)
    response = send(viewer, encoded(image()))
    assert response.status_code == 503
    assert b"crashed" in response.content
    assert send(viewer, encoded(image())).status_code == 302


def test_child_that_stands_still_costs_one_upload(
    viewer: Client, change: Callable[..., Services], tmp_path: Path
) -> None:
    with working(tmp_path, timeout_s=1.5) as worker:
        change(worker=worker)
        worker.thumbnail(encoded(image()))
        assert worker.pid
        os.kill(worker.pid, signal.SIGSTOP)
        response = send(viewer, encoded(image()))
        assert response.status_code == 503
        assert b"took longer than 1.5 s" in response.content
        # A busy machine may take as long to start the next one.
        worker._classify = replace(worker._classify, timeout_s=60)
        assert send(viewer, encoded(image())).status_code == 302


def test_picture_that_needs_too_much_memory_is_refused(
    viewer: Client, change: Callable[..., Services], tmp_path: Path
) -> None:
    large = encoded(Image.new("RGB", (7000, 7000)), "PNG", compress_level=1)
    with working(tmp_path, memory_mb=600) as worker:
        change(worker=worker)
        response = send(viewer, large)
        assert response.status_code == 422
        assert b"needs more memory" in response.content
        assert send(viewer, encoded(image())).status_code == 302
