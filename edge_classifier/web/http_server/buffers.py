"""What waits to be read or sent: on the disk where it is large; answers in memory if that is full.

Without it every page and picture that is a little large would break off on a full disk.
"""

from contextlib import suppress
from typing import Any

from waitress import buffers, channel
from waitress.buffers import FileBasedBuffer, OverflowableBuffer, TempfileBasedBuffer


class _DiskBuffer(TempfileBasedBuffer):
    """Leaves no file open that could not be written."""

    def __init__(self, from_buffer: Any = None) -> None:
        file = self.newfile()
        try:
            FileBasedBuffer.__init__(self, file, from_buffer)
        except OSError:
            with suppress(OSError):
                file.close()
            raise


class ResponseBuffer(OverflowableBuffer):
    """An answer; at most waitress's ``outbuf_high_watermark`` of it waits."""

    def _set_large_buffer(self) -> None:
        small = self.buf
        place = small.getfile().tell() if small is not None else 0
        try:
            super()._set_large_buffer()
        except OSError:
            if small is None:
                self._set_small_buffer()
            else:
                # It has been read to its end.
                small.getfile().seek(place)
            # Not tried again with each part.
            self.overflowed = True


def keep_answers_on_a_full_disk() -> None:
    """Have waitress use these: it names its own ones in the middle of its methods."""
    buffers.TempfileBasedBuffer = _DiskBuffer
    channel.OverflowableBuffer = ResponseBuffer
