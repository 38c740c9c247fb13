"""From a camera's settings to what opens it."""

from collections.abc import Callable

from edge_classifier.capture.native_libraries import configure_native_libraries
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.network.camera_address import (
    PICTURES,
    STREAMS,
    address_of,
    describe,
    device_of,
    is_stream,
    picamera_number,
    scheme_of,
    with_login,
)
from edge_classifier.errors import ConfigurationError
from edge_classifier.protocols import FrameSource


def source_for(
    camera: CameraSettings, credentials: str | None = None, *, near_px: int = 224
) -> Callable[[], FrameSource]:
    """What makes ``camera``'s source, a fresh one for each time it is opened.

    ``credentials`` is USER:PASSWORD for a stream; ``near_px`` the model's shorter side, for
    cameras that can resize in hardware. Raises ConfigurationError for an address that no stream
    can have.
    """
    is_url = is_stream(camera.source)
    if is_url and scheme_of(camera.source) not in STREAMS:
        raise ConfigurationError(
            describe(camera.source),
            "is not a stream address",
            f"It may begin with {', '.join(f'{scheme}://' for scheme in STREAMS)}.",
        )
    url = address_of(camera.source)
    if is_url and credentials:
        url = with_login(url, credentials)

    configure_native_libraries()

    # Libraries are imported when the source is made, and only those it needs.
    def make() -> FrameSource:
        if is_url:
            open_s, read_s = camera.open_timeout_s, camera.read_timeout_s
            if scheme_of(url) in ("http", "https"):
                from edge_classifier.capture.http_camera import HttpSource

                return HttpSource(
                    url, open_timeout_s=open_s, read_timeout_s=read_s, picture_s=camera.picture_s
                )
            from edge_classifier.capture.opencv import StreamSource

            return StreamSource(url, open_timeout_s=open_s, read_timeout_s=read_s)
        size = camera.width, camera.height
        if camera.source.startswith(PICTURES):
            # It decodes with Pillow, which no other camera has to pay for.
            from edge_classifier.capture.picture_folder import PictureFolderSource

            folder = camera.source.removeprefix(PICTURES)
            return PictureFolderSource(
                folder, loop=camera.loop, picture_s=camera.picture_s, at_least=size
            )
        if picamera_number(camera.source) is not None:
            from edge_classifier.capture.picamera import PicameraSource

            return PicameraSource(camera, near_px)
        from edge_classifier.capture.opencv import DeviceSource, FileSource

        device = device_of(camera.source)
        if not device:
            return FileSource(camera.source, loop=camera.loop)
        return DeviceSource(device, size=size, read_timeout_s=camera.read_timeout_s)

    return make
