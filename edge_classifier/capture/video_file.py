"""A video file as pictures: one for each of its seconds."""

from collections.abc import Iterator
from math import floor

from edge_classifier.capture.opencv import FileSource
from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError, EndOfFrames, PictureError, TooManyPixelsError

SUFFIXES = frozenset(
    (
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".mts",
        ".ts",
        ".3gp",
        ".wmv",
    )
)
_LONGEST_S = 1e9


def a_frame_each_second(path: str, *, pixel_limit: int) -> Iterator[tuple[float, Frame]]:
    """The first frame of each second, and the second of the film that it is from.

    Frames that cannot be decoded are left out. Raises PictureError where there is none that can.
    """
    source = FileSource(path, loop=False)
    count, due_s = 0, 0.0
    try:
        source.open()
        width, height = source.size
        if width * height > pixel_limit:
            problem = f"has {width} x {height} pixels; {pixel_limit / 1e6:g} million are allowed"
            raise TooManyPixelsError(path, problem, "Raise --max-megapixels if you trust it.")
        while True:
            source.grab()
            # Whatever a damaged file says.
            at_s = min(source.position_s, _LONGEST_S)
            if not at_s >= due_s:
                continue
            try:
                frame = source.retrieve()
            except CameraError:
                continue
            count, due_s = count + 1, floor(at_s) + 1.0
            yield at_s, frame
    except EndOfFrames as error:
        if not count:
            raise PictureError(path, "has no frame that can be decoded") from error
    except CameraError as error:
        raise PictureError(path, error.problem, error.remedy) from error
    finally:
        source.close()
