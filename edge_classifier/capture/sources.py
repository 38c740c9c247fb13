"""From a camera's settings to what opens it."""

from collections.abc import Callable

from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.camera_address import (
    PICTURES,
    STREAMS,
    describe,
    device_of,
    is_stream,
    mask,
    picamera_number,
    scheme_of,
    with_login,
)
from edge_classifier.errors import ConfigurationError
from edge_classifier.protocols import Source

__all__ = ["describe", "mask", "source_for"]


def source_for(
    camera: CameraSettings, credentials: str | None = None, *, near_px: int = 224
) -> Callable[[], Source]:
    """What makes ``camera``'s source, a fresh one for each time it is opened.

    ``credentials`` is USER:PASSWORD for a stream; ``near_px`` the model's shorter side, for
    cameras that can resize in hardware. Libraries are imported when the source is made, and only
    those it needs. Raises ConfigurationError for an address that no stream can have.
    """
    if is_stream(camera.source):
        return _stream(camera, credentials)
    if camera.source.startswith(PICTURES):
        return lambda: _pictures(camera)
    if picamera_number(camera.source) is not None:
        return lambda: _picamera(camera, near_px)
    return lambda: _device_or_file(camera)


def _stream(camera: CameraSettings, credentials: str | None) -> Callable[[], Source]:
    if scheme_of(camera.source) not in STREAMS:
        raise ConfigurationError(
            describe(camera.source),
            "is no address of a stream",
            f"It may begin with {', '.join(f'{scheme}://' for scheme in STREAMS)}.",
        )
    url = with_login(camera.source, credentials) if credentials else camera.source

    def make() -> Source:
        from edge_classifier.capture.opencv import StreamSource

        return StreamSource(
            url, open_timeout_s=camera.open_timeout_s, read_timeout_s=camera.read_timeout_s
        )

    return make


def _device_or_file(camera: CameraSettings) -> Source:
    from edge_classifier.capture.opencv import DeviceSource, FileSource

    device = device_of(camera.source)
    if not device:
        return FileSource(camera.source, loop=camera.loop)
    size = camera.width, camera.height
    return DeviceSource(device, size=size, read_timeout_s=camera.read_timeout_s)


def _picamera(camera: CameraSettings, near_px: int) -> Source:
    from edge_classifier.capture.picamera import PicameraSource

    return PicameraSource(camera, near_px)


def _pictures(camera: CameraSettings) -> Source:
    # It decodes with Pillow, which no other camera has to pay for.
    from edge_classifier.capture.picture_folder import PictureFolderSource

    return PictureFolderSource(
        camera.source.removeprefix(PICTURES),
        loop=camera.loop,
        picture_s=camera.picture_s,
        at_least=(camera.width, camera.height),
    )
