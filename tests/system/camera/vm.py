"""A machine with a kernel of its own, by emulation: for drivers that this one's kernel lacks.

Its root is a Debian in a folder, lent by this machine and never written to; this project is at
/srv, and the camera of the kernel's driver for tests (vivid) at /dev/video0.
"""

import gzip
import lzma
import os
import platform
import select
import shutil
import subprocess
import time
from itertools import count
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import REPOSITORY
from tests.system.debian import PYTHON, SITE, Root, bootstrap
from tests.system.machine import kept, need, pip

_MEMORY_MB = 1024
# It takes 8 s where nothing else runs.
_BOOT_LIMIT_S = 120.0
_PACKAGES = ("linux-image-amd64", "python3", "v4l-utils", "busybox-static", "kmod", "libstdc++6")
_WHEELS = ("numpy", "opencv-python-headless>=5", "pillow")
_WHEEL_OPTIONS = (
    "--only-binary=:all:",
    "--python-version=3.13",
    "--implementation=cp",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_27_x86_64",
    "--platform=manylinux2014_x86_64",
)
_COMPILED = "cv2, pathlib, subprocess, logging, random, urllib.request, http.server"
_DRIVERS = {
    "9p": "",
    "9pnet_virtio": "",
    "overlay": "",
    "vhci-hcd": "",
    "uvcvideo": "",
    "vivid": "n_devs=1 node_types=0x1 num_inputs=1 input_types=0",  # One webcam.
}
_INIT = """#!/busybox sh
alias b=/busybox
b mkdir -p /proc /sys /dev /lower /upper /root
b mount -t proc proc /proc
b mount -t sysfs sysfs /sys
b mount -t devtmpfs dev /dev
while read module; do
  b insmod /$module
done </modules
b mount -t tmpfs upper /upper
b mkdir /upper/new /upper/work
share() {
  b mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,$3 $1 $2
}
share root /lower ro,cache=loose
b mount -t overlay -o lowerdir=/lower,upperdir=/upper/new,workdir=/upper/work root /root
for part in proc sys dev; do
  b mount --move /$part /root/$part
done
b mkdir -p /root/srv /root/exchange
b mount -t tmpfs tmp /root/tmp
share checkout /root/srv ro,cache=loose
share exchange /root/exchange cache=none
exec /busybox chroot /root /usr/bin/busybox sh /exchange/agent </root/dev/ttyS1 >/root/dev/ttyS1
"""
# It is told the names of scripts, one a line.
_AGENT = """
export PATH=/usr/bin:/usr/sbin HOME=/tmp PYTHONPATH=/srv PYTHONPYCACHEPREFIX=/var/cache/python
busybox stty -echo
echo up
while read name; do
  busybox sh /exchange/$name >/exchange/$name.out 2>&1
  echo "$name ended $?"
done
"""


def installed() -> Path:
    """Kernel, first files and root of the machine, made at the first call; skips where it cannot
    be.
    """
    need("mmdebstrap", "unshare", "chroot", "qemu-system-x86_64")
    if platform.machine() != "x86_64":
        pytest.skip("its Debian is unpacked by programs of its own, which are for x86-64")
    return kept("vm", (_PACKAGES, _WHEELS, _DRIVERS, _INIT, _COMPILED), _install)


def _install(folder: Path) -> None:
    folder.mkdir()
    root = folder / "root"
    bootstrap(root, *_PACKAGES)
    done = pip("install", "--target", root / SITE, *_WHEEL_OPTIONS, *_WHEELS)
    assert done.returncode == 0, done.stderr[-3000:]
    # Here it takes two seconds, on the emulated processor half a minute.
    done = Root(root).run(PYTHON, "-c", f"import {_COMPILED}")
    assert done.returncode == 0, done.stderr
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    kernel.rename(folder / "kernel")
    _write_first_files(folder, root, kernel.name.removeprefix("vmlinuz-"))
    for unused in ("boot", "usr/lib/modules"):
        shutil.rmtree(root / unused)


def _write_first_files(folder: Path, root: Path, version: str) -> None:
    """What the kernel starts with: its drivers, and the program that finds the root."""
    first = folder / "first"
    first.mkdir()
    shutil.copy(root / "usr/bin/busybox", first)
    lines = []
    for driver, options in _DRIVERS.items():
        for module in _modules(root, version, driver):
            name = module.stem
            (first / name).write_bytes(lzma.decompress(module.read_bytes()))
            lines.append(f"{name} {options if name == f'{driver}.ko' else ''}\n")
    (first / "modules").write_text("".join(dict.fromkeys(lines)), "ascii")
    (first / "init").write_text(_INIT, "ascii")
    (first / "init").chmod(0o755)
    names = "\n".join(path.name for path in first.iterdir()).encode()
    archive = subprocess.run(
        [first / "busybox", "cpio", "-o", "-H", "newc"],
        cwd=first,
        input=names,
        capture_output=True,
        check=True,
    )
    (folder / "initrd").write_bytes(gzip.compress(archive.stdout, 1))


def _modules(root: Path, version: str, driver: str) -> list[Path]:
    """``driver``, after those that it needs."""
    if not (root / f"usr/lib/modules/{version}/modules.dep").exists():
        subprocess.run(["chroot", root, "/usr/sbin/depmod", version], check=True)
    command = ["/usr/sbin/modprobe", "-S", version, "--show-depends", driver]
    done = subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=True)
    lines = (line.split() for line in done.stdout.splitlines())
    return [root / words[1].lstrip("/") for words in lines if words[0] == "insmod"]


class VirtualMachine:
    """Runs from ``with`` on; what is written inside is gone with it, but for /exchange."""

    def __init__(self, installed: Path, exchange: Path) -> None:
        self._installed, self._exchange = installed, exchange
        self._console = exchange / "console.log"
        self._numbers = count()
        self._heard = b""
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, script: str, timeout_s: float = 240) -> str:
        """What the shell ``script`` writes; AssertionError tells it when it fails."""
        assert self._process
        assert self._process.stdin
        name = f"script-{next(self._numbers)}"
        (self._exchange / name).write_text(script, "utf-8")
        self._process.stdin.write(f"{name}\n".encode())
        self._process.stdin.flush()
        ending = self._await(f"{name} ended ", timeout_s)
        said = (self._exchange / f"{name}.out").read_text("utf-8", "replace")
        assert ending == "0", f"exit code {ending}: {said[-6000:]}"
        return said

    def __enter__(self) -> Self:
        (self._exchange / "agent").write_text(_AGENT, "ascii")
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self._await("up", _BOOT_LIMIT_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _command(self) -> list[str]:
        command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"]
        command += ["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-m", f"{_MEMORY_MB}"]
        command += ["-nodefaults", "-display", "none", "-no-reboot"]
        command += ["-kernel", str(self._installed / "kernel")]
        command += ["-initrd", str(self._installed / "initrd")]
        command += ["-append", "console=ttyS0 quiet panic=-1"]
        command += ["-serial", f"file:{self._console}", "-serial", "stdio"]
        shares = {"root": self._installed / "root", "checkout": REPOSITORY}
        for name, folder in shares.items():
            options = f"mount_tag={name},security_model=none,readonly=on"
            command += ["-virtfs", f"local,path={folder},{options}"]
        options = "mount_tag=exchange,security_model=none"
        return [*command, "-virtfs", f"local,path={self._exchange},{options}"]

    def _await(self, beginning: str, within_s: float) -> str:
        """The rest of the line that begins so."""
        assert self._process
        assert self._process.stdout
        deadline = time.monotonic() + within_s
        while True:
            *lines, self._heard = self._heard.split(b"\n")
            for line in lines:
                if line.decode().startswith(beginning):
                    return line.decode().removeprefix(beginning).strip()
            left_s = deadline - time.monotonic()
            ready = select.select([self._process.stdout], [], [], max(0.0, left_s))[0]
            new = os.read(self._process.stdout.fileno(), 4096) if ready else b""
            assert new, f"no {beginning!r}: {self._console.read_text('utf-8', 'replace')[-3000:]}"
            self._heard += new
