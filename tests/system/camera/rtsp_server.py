"""A network camera with picture and sound, for the system's Python and its GStreamer.

A program: ``rtsp_server.py JSON``, an object of

- ``port``: where it listens, on this machine only
- ``video``: the end of a pipeline, from raw pictures to RTP packets
- ``login``: USER:PASSWORD that is asked for; empty: none
- ``digest``: whether it is asked for by the digest method, which does not send it
- ``transport``: ``tcp`` or ``udp``, to offer only that; empty: both

Each line of standard input says what the camera sees from now on: ``bars``; a colour as the
number 0xFFRRGGBB, in decimals; or ``nothing``, and then only the sound goes on.
"""

import json
import sys
import threading
from collections.abc import Mapping
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found] # noqa: E402

PATH = "/stream"
CAMERA = """
( videotestsrc name=camera is-live=true pattern=smpte100
  ! video/x-raw,width=640,height=480,framerate=25/1 ! identity name=lens ! {video} name=pay0
  audiotestsrc is-live=true wave=silence ! audio/x-raw,rate=8000,channels=1
  ! alawenc ! rtppcmapay name=pay1 )
"""
ELEMENTS = (
    *("videotestsrc", "identity", "videoconvert", "audiotestsrc", "alawenc", "rtppcmapay"),
    *("x264enc", "rtph264pay", "x265enc", "rtph265pay", "jpegenc", "rtpjpegpay"),
)
TRANSPORTS = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
}


class Camera:
    """One pipeline for all who watch; there is none while nobody does."""

    def __init__(self, video: str, transport: str) -> None:
        self.factory = GstRtspServer.RTSPMediaFactory()
        self.factory.set_launch(CAMERA.format(video=video))
        self.factory.set_shared(True)
        self.factory.set_protocols(TRANSPORTS[transport])
        self.factory.connect("media-configure", self._made)
        self._sees = "bars"
        self._pipeline: Any = None

    def see(self, what: str) -> None:
        self._sees = what
        if self._pipeline is None:
            return
        lens, camera = (self._pipeline.get_by_name(name) for name in ("lens", "camera"))
        lens.set_property("drop-probability", float(what == "nothing"))
        camera.set_property("pattern", "solid-color" if what.isdigit() else "smpte100")
        if what.isdigit():
            camera.set_property("foreground-color", int(what))

    def let_in(self, user: str) -> None:
        """Only those who are this user."""
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("ACCESS", "CONSTRUCT"):
            name = getattr(GstRtspServer, f"RTSP_PERM_MEDIA_FACTORY_{right}")
            permissions.add_permission_for_role(user, name, True)
        self.factory.set_permissions(permissions)

    def _made(self, _factory: Any, media: Any) -> None:
        self._pipeline = media.get_element()
        self.see(self._sees)


def doorkeeper(user: str, password: str, *, digest: bool) -> Any:
    """Knows who is who."""
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, user)
    auth = GstRtspServer.RTSPAuth()
    if digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def serve(settings: Mapping[str, Any]) -> Camera:
    camera = Camera(settings["video"], settings["transport"])
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(settings["port"]))
    user, _, password = settings["login"].partition(":")
    if user:
        server.set_auth(doorkeeper(user, password, digest=settings["digest"]))
        camera.let_in(user)
    server.get_mount_points().add_factory(PATH, camera.factory)
    if not server.attach(None):
        sys.exit("it cannot listen")
    return camera


def main() -> None:
    Gst.init(None)
    if missing := [name for name in ELEMENTS if Gst.ElementFactory.find(name) is None]:
        sys.exit(f"GStreamer has no {', '.join(missing)}")
    camera, loop = serve(json.loads(sys.argv[1])), GLib.MainLoop()

    def listen() -> None:
        for line in sys.stdin:
            GLib.idle_add(camera.see, line.strip())
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    print("ready", flush=True)
    loop.run()


if __name__ == "__main__":
    main()
