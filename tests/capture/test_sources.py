import subprocess
import sys
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.capture.http_camera import HttpSource
from edge_classifier.capture.opencv import DeviceSource, FileSource, StreamSource
from edge_classifier.capture.picamera import PicameraSource
from edge_classifier.capture.picture_folder import PictureFolderSource
from edge_classifier.capture.sources import source_for
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.network.camera_address import describe, mask, with_login
from edge_classifier.errors import ConfigurationError


@pytest.mark.parametrize(
    ("source", "kind", "live"),
    [
        ("/dev/video0", DeviceSource, True),
        ("/dev/v4l/by-id/usb-046d-video-index0", DeviceSource, True),
        ("0", DeviceSource, True),
        ("rtsp://camera.lan/stream", StreamSource, True),
        ("HTTP://camera.lan/stream.mjpg", HttpSource, True),
        (" rtsp://camera.lan/stream ", StreamSource, True),
        ("picamera2", PicameraSource, True),
        ("picamera2:1", PicameraSource, True),
        ("pictures:/srv/pictures", PictureFolderSource, True),
        ("pictures:/srv/*.jpg", PictureFolderSource, True),
        ("/srv/film.mp4", FileSource, False),
        ("picamera2.mp4", FileSource, False),
    ],
)
def test_source_for_a_setting_is_of_its_kind(source: str, kind: type, live: bool) -> None:
    made = source_for(CameraSettings(source=source))()
    assert type(made) is kind
    assert made.live is live


def test_source_for_pictures_without_a_pace_is_not_live() -> None:
    assert not source_for(CameraSettings(source="pictures:/srv", picture_s=0))().live


def test_source_for_a_camera_makes_a_fresh_one_each_time() -> None:
    make = source_for(CameraSettings(source="rtsp://camera.lan/stream"))
    assert make() is not make()


@pytest.mark.parametrize("source", ["file:///etc/passwd", "gopher://host/", "concat:a://b", "://"])
def test_source_for_an_address_of_no_stream_is_refused(source: str) -> None:
    with pytest.raises(ConfigurationError, match="rtsp://"):
        source_for(CameraSettings(source=source))


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://camera.lan:554/Streaming/Channels/101",
        "rtsp://camera.lan/cam/realmonitor?channel=1&subtype=0",
        "rtsp://camera.lan/h264Preview_01_main",
        "rtsp://camera.lan/axis-media/media.amp?resolution=640x480&fps=10",
        "http://camera.lan/axis-cgi/mjpg/video.cgi?camera=1",
        "http://camera.lan/ISAPI/Streaming/channels/1/picture",
        "rtsp://camera.lan/live/ch00_0",
        "rtsp://camera.lan/onvif1",
        "rtsp://camera.lan/av0_0",
        "http://camera.lan:8080/video.mjpg",
    ],
)
def test_describe_shows_the_usual_addresses_of_cameras_as_they_are(address: str) -> None:
    assert describe(address) == address


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("0", "/dev/video0"),
        ("07", "/dev/video7"),
        ("/dev/video2", "/dev/video2"),
        ("picamera2", "Raspberry Pi camera 0"),
        ("picamera2:1", "Raspberry Pi camera 1"),
        ("/srv/film.mp4", "/srv/film.mp4"),
        ("pictures:/srv/*.jpg", "/srv/*.jpg"),
        ("rtsp://camera.lan:554/stream", "rtsp://camera.lan:554/stream"),
        ("rtsp://admin:secret@camera.lan/stream", "rtsp://***@camera.lan/stream"),
        ("rtsp://admin@camera.lan/stream", "rtsp://***@camera.lan/stream"),
        ("rtsp://admin:p@ss/w#rd?@camera.lan/stream", "rtsp://***"),
        ("rtsp://admin:12/34@camera.lan/stream", "rtsp://***"),
        ("rtsp://camera.lan/user=admin&password=s@cret&channel=1", "rtsp://***"),
        ("rtsp://camera.lan/user=admin&password=secret&channel=1", "rtsp://camera.lan/***"),
        ("rtsp://camera.lan/user=admin_password=secret_channel=1.sdp", "rtsp://camera.lan/***"),
        ("rtsp://camera.lan/stream;pwd=secret", "rtsp://camera.lan/stream;***"),
        ("rtsp://camera.lan/stream#pwd=secret", "rtsp://camera.lan/stream#***"),
        ("rtsps://camera.lan:7441/Xy12AbCd34eF", "rtsps://camera.lan:7441/***"),
        ("http://host/admin/secret/snapshot.jpg", "http://host/***/***/snapshot.jpg"),
        ("http://host/1234", "http://host/***"),
        ("http://host/12/live", "http://host/***/live"),
        ("http://host/mjpg?user=admin&pwd=secret", "http://host/mjpg?***"),
        ("http://host/v?secret", "http://host/***?***"),
        ("http://host/video?channel=1&subtype=0", "http://host/video?channel=1&subtype=0"),
        ("http://host/video?channel=1&pin=12", "http://host/video?channel=1&***"),
        ("http://host/video?channel=hunter2", "http://host/video?***"),
        ("http://host/video?token=12;a=secret#x", "http://host/video?***"),
        ("http://se cret/video", "http://***"),
        ("srt://host:9000?passphrase=secret", "srt://host:9000?***"),
        ("secret://host/live", "secret://host/live"),
        ("http://[fe80::1]:81/live", "http://[fe80::1]:81/live"),
        ("rtsp:/admin:secret@camera.lan/stream", "***"),
        ("admin:secret@camera.lan/stream", "***"),
        ("pictures:/srv/b@c:d@e/*.jpg", "/srv/b@c:d@e/*.jpg"),
    ],
)
def test_describe_shows_a_source_without_secrets(source: str, shown: str) -> None:
    assert describe(source) == shown


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_mask_of_a_login_never_shows_it(password: str) -> None:
    masked = "rtsp://***@camera.lan:8554/stream?channel=1"
    escaped = with_login("rtsp://camera.lan:8554/stream?channel=1", f"admin:{password}")
    assert mask(escaped) == masked
    plain = mask(f"rtsp://admin:{password}@camera.lan:8554/stream?channel=1")
    assert plain in (masked, "rtsp://***")


WORDLESS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=9)


@given(WORDLESS, st.text(max_size=8), st.sampled_from("/?#;&=:_.-\\ "), st.text(max_size=8))
def test_mask_of_a_secret_anywhere_behind_the_host_never_shows_it(
    secret: str, before: str, sign: str, after: str
) -> None:
    address = f"rtsp://camera.lan/{before}{sign}Q{secret}Q{sign}{after}"
    assert f"Q{secret}Q" not in mask(address)
    assert f"Q{secret}Q" not in mask(f"rtsp://camera.lan/{before}pwd=Q{secret}Q{sign}{after}")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_with_login_escapes_any_password(password: str) -> None:
    parts = urlsplit(with_login("rtsp://old:login@camera.lan:8554/stream", f"admin:{password}"))
    assert (parts.hostname, parts.port, parts.path) == ("camera.lan", 8554, "/stream")
    assert (parts.username, unquote(parts.password or "")) == ("admin", password)


def test_with_login_leaves_an_at_sign_behind_the_host_alone() -> None:
    assert with_login("http://host/a@b", "u:p") == "http://u:p@host/a@b"


def test_stream_source_of_a_secret_address_does_not_show_it() -> None:
    source = source_for(CameraSettings(source="rtsp://camera.lan/stream"), "admin:secret")()
    assert "secret" not in f"{source!r} {source}"


@pytest.mark.parametrize(
    ("source", "spared"),
    [
        ("rtsp://camera.lan/stream", {"PIL", "picamera2"}),
        ("/dev/video0", {"PIL", "picamera2"}),
        ("picamera2", {"PIL", "picamera2"}),
        ("pictures:/srv", {"picamera2"}),
    ],
)
def test_source_for_a_camera_imports_only_what_it_needs(source: str, spared: set[str]) -> None:
    code = f"""
import sys
import edge_classifier.capture.camera
from edge_classifier.capture.sources import source_for
from edge_classifier.config.settings import CameraSettings
source_for(CameraSettings(source={source!r}))()
print(*sorted(name.partition(".")[0] for name in sys.modules))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "cv2" in done.stdout
    assert set(done.stdout.split()) & (spared | {"pydantic", "requests", "rich"}) == set()
