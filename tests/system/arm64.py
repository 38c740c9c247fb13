"""A 64-bit Raspberry Pi OS as far as emulation goes: trixie for arm64 under qemu, a Pi 4's CPU.

qemu translates programs, not a machine: the kernel, the network and /dev are this machine's.
"""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.system.debian import Root, bootstrap
from tests.system.machine import dependencies, kept, need, need_package, pip

CHECKOUT = "/srv/checkout"
WHEELS = "/srv/wheels"

# Where installing writes to.
PLACES = ("/opt", "/etc/edge-classifier", "/etc/systemd/system", "/usr/local/bin")

_PACKAGES = (
    "python3",
    "python3-venv",
    "libstdc++6",
    "ca-certificates",
    # What install.sh calls, and every Raspberry Pi has.
    "bash",
    "coreutils",
    "dpkg",
    "findutils",
    "grep",
    "sed",
)
_BUILD = ("hatchling",)
_WHEEL_OPTIONS = (
    "--only-binary=:all:",
    "--python-version=3.13",
    "--implementation=cp",
    "--platform=manylinux_2_28_aarch64",
    "--platform=manylinux_2_27_aarch64",
    "--platform=manylinux2014_aarch64",
)
_CORES = range(4)
# A Cortex-A72 as Linux shows it: what XNNPACK chooses its kernels by.
_CORE = """processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
_MODEL = "Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
_PREFIX = "/proc/sys/fs/binfmt_misc"
_FORMAT = "qemu-aarch64"
_REGISTER = f"""
mountpoint -q {_PREFIX} || mount -t binfmt_misc none {_PREFIX}
mine=
[ -e {_PREFIX}/{_FORMAT} ] || mine=yes
[ -z "$mine" ] || cat /usr/lib/binfmt.d/{_FORMAT}.conf >{_PREFIX}/register
echo ready
read -r end || true
[ -z "$mine" ] || echo -1 >{_PREFIX}/{_FORMAT}
"""


def installed() -> Path:
    """A root file system and wheels, made at the first call; skips where they cannot be made."""
    need("mmdebstrap", "unshare", "setpriv", "qemu-aarch64-static")
    if platform.machine() != "x86_64":
        pytest.skip("arm64 is emulated on x86-64 only")
    return kept("arm64", (_PACKAGES, _WHEEL_OPTIONS, _BUILD, dependencies()), _install)


def _install(folder: Path) -> None:
    need_package("ai-edge-litert")
    bootstrap(folder, *_PACKAGES, architecture="arm64")
    wheels = folder / WHEELS.lstrip("/")
    done = pip("download", *_WHEEL_OPTIONS, "--dest", wheels, *_BUILD, *dependencies())
    assert done.returncode == 0, done.stderr[-3000:]
    # The kernel's own has one processor a file, and would crash the emulator.
    for name in ("possible", "present", "online"):
        (folder / "sys/devices/system/cpu" / name).write_text("0-3\n")


def raspberry_pi(folder: Path, own: Path) -> Root:
    """The root in ``folder`` on a Pi 4's processor; what is installed in it goes to ``own``."""
    cpuinfo = own / "cpuinfo"
    cpuinfo.write_text("".join(_CORE.format(number=n) for n in _CORES) + _MODEL, "utf-8")
    lent = {own / place.lstrip("/"): place for place in PLACES}
    for outside in lent:
        outside.mkdir(parents=True)
    environment = {
        "QEMU_CPU": "cortex-a72",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": WHEELS,
        "PIP_NO_COMPILE": "1",
    }
    return Root(folder, {cpuinfo: "/proc/cpuinfo", REPOSITORY: CHECKOUT}, lent, environment)


@contextmanager
def emulation() -> Iterator[None]:
    """Let the kernel start arm64 programs through qemu; as it was before afterwards.

    The process that has registered the format stays: newer kernels forget all formats when nobody
    has their list mounted any more.
    """
    line = ["unshare", "--mount", "sh", "-ec", _REGISTER]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as holder:
        assert holder.stdin
        assert holder.stdout
        said = holder.stdout.readline()
        assert said == b"ready\n", said
        yield
        # Leaving closes its standard input, which ends it.
