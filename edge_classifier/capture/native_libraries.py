"""What OpenCV and FFmpeg read from the environment, once, for the whole process."""

import os

# Seconds of one wait for a frame of a V4L2 camera; a camera's own time limit is made of several.
V4L2_WAIT_S = 1
# Containers and streams that FFmpeg may take something for. Not its readers of single pictures:
# they keep what comes until a picture ends, and a server may never end it.
_FORMATS = (
    *("rtsp", "sdp", "rtp", "hls", "mpegts", "mpeg", "flv", "live_flv", "asf", "mov", "mp4"),
    *("matroska", "webm", "avi", "ogg", "ivf", "gif", "h264", "hevc", "m4v", "mpegvideo"),
    *("mjpeg", "aac", "mp3", "webvtt"),
)


def configure_native_libraries() -> None:
    """To be called before the first camera's thread begins.

    The environment may not be written while other threads read it; later calls write nothing.
    FFmpeg would show addresses with passwords on standard error: what matters is raised.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    # TCP is what OpenCV prefers for RTSP where nothing is set.
    options = f"rtsp_flags;prefer_tcp|format_whitelist;{','.join(_FORMATS)}"
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", options)
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(V4L2_WAIT_S))
