"""Tells the stories of cameras in the virtual machine, each in a process of its own.

A program: it takes their names from one pipe, and writes their exit codes to another. What they
import takes an emulated processor some seconds: it is done once, and each has a copy of it.
"""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.system.camera import usb_guest, v4l2_guest

ASKED, TOLD, SAID = (Path("/tmp", name) for name in ("asked", "told", "said"))  # noqa: S108
MODULE = "tests.system.camera.guest"
STORIES: dict[str, Callable[[], None]] = {
    **{
        f"device {name}": partial(v4l2_guest.with_new_device, story)
        for name, story in v4l2_guest.STORIES.items()
    },
    **{f"usb {name}": story for name, story in usb_guest.STORIES.items()},
}
# Scripts for the machine's shell: begin, and tell one story.
BEGIN = f"""
mkfifo {ASKED} {TOLD}
(python3 -m {MODULE} >{SAID} 2>&1 </dev/null; echo over >{TOLD}) &
read word <{TOLD}
[ "$word" = ready ] && exit
cat {SAID}
exit 1
"""
TELL = f"""
echo "{{name}}" >{ASKED}
read code <{TOLD}
cat {SAID}
exit $code
"""


def _next() -> Callable[[], None]:
    """The next story that is asked for; it returns in a process of the story's own."""
    TOLD.write_text("ready\n", "utf-8")
    while True:
        name = ASKED.read_text("utf-8").strip()
        child = os.fork()
        if not child:
            said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, sys.stdout.fileno())
            os.dup2(said, sys.stderr.fileno())
            return STORIES[name]
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        TOLD.write_text(f"{code % 256}\n", "utf-8")


if __name__ == "__main__":
    _next()()
