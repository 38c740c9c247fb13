"""A machine with a kernel of its own, by emulation: for drivers that this one's kernel lacks.

Its root is a Debian in a folder, seen over 9p and never written to; this project is at /srv.
"""

import gzip
import itertools
import os
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.conftest import REPOSITORY, Completed
from tests.system.debian import SITE, bootstrap
from tests.system.machine import kept, need, pip

MEMORY_MB = 1024
BOOT_LIMIT_S = 120.0
"""It takes 8 s on a machine that does nothing else."""
_PACKAGES = ("linux-image-amd64", "python3", "v4l-utils", "busybox-static", "kmod", "libstdc++6")
_WHEELS = ("numpy", "opencv-python-headless", "annotated-types")
_WHEEL_OPTIONS = (
    "--only-binary=:all:",
    "--python-version=3.13",
    "--implementation=cp",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux2014_x86_64",
)
_DRIVERS = ("9p", "9pnet_virtio", "overlay", "vivid")
_INIT = """#!/busybox sh
exec 2>/dev/console
alias b=/busybox
b mkdir /proc /sys /dev /lower /upper /root
b mount -t proc proc /proc
b mount -t sysfs sysfs /sys
b mount -t devtmpfs dev /dev
b mount -t tmpfs upper /upper
b mkdir /upper/new /upper/work
while read module options; do
  b insmod /$module $options
done </modules
share() {
  b mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,$3 $1 $2
}
share root /lower ro,cache=loose
b mount -t overlay -o lowerdir=/lower,upperdir=/upper/new,workdir=/upper/work root /root
for part in proc sys dev; do
  b mount --move /$part /root/$part
done
b mkdir -p /root/mnt /root/srv
b mount -t tmpfs tmp /root/tmp
share checkout /root/srv ro,cache=loose
share exchange /root/mnt cache=none
exec b chroot /root /usr/bin/busybox sh -c "$AGENT" </dev/ttyS1 >/dev/ttyS1
"""
# One number a line: of the script to run.
_AGENT = """
export PATH=/usr/bin:/usr/sbin HOME=/tmp PYTHONPATH=/srv PYTHONPYCACHEPREFIX=/tmp/python
busybox stty -echo
echo up
while read n; do
  busybox sh /mnt/$n >/mnt/$n.out 2>/mnt/$n.err
  echo $n ended $?
done
"""
