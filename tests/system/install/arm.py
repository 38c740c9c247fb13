"""A Raspberry Pi OS as far as emulation goes: Debian for ARM under qemu, a Raspberry Pi's CPU.

qemu translates programs, not a machine: the kernel, the network and /dev are this machine's.
"""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY
from tests.system.debian import COMPILED, Root, bootstrap
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
    "apt",
    "bash",
    "coreutils",
    "dpkg",
    "findutils",
    "grep",
    "sed",
    "util-linux",
)
_PREFIX = "/proc/sys/fs/binfmt_misc"
# $1 is the format of one architecture.
_REGISTER = f"""
mountpoint -q {_PREFIX} || mount -t binfmt_misc none {_PREFIX}
mine=
[ -e {_PREFIX}/$1 ] || mine=yes
[ -z "$mine" ] || cat /usr/lib/binfmt.d/$1.conf >{_PREFIX}/register
echo ready
read -r end || true
[ -z "$mine" ] || echo -1 >{_PREFIX}/$1
"""


@dataclass(frozen=True)
class Board:
    """One kind of Raspberry Pi, and the system on it."""

    # As Debian and as Linux call its architecture.
    architecture: str
    machine: str
    suite: str
    python: tuple[int, int]
    # As qemu calls it: the format that the kernel is told, and the processor.
    emulator: str
    processor: str
    # Tags of wheels, best first.
    platforms: tuple[str, ...]
    runtime: str
    # One core, and what comes after them all, in /proc/cpuinfo: XNNPACK chooses its kernels by it.
    core: str
    model: str
    cores: int = 4
    # Distributions that pip is not to look for, because apt's are there; and those packages.
    from_apt: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    # Links that the scripts of packages would have made: where, and what they lead to.
    links: tuple[tuple[str, str], ...] = ()

    def requirements(self) -> list[str]:
        """What pip must install of the project's dependencies here."""
        there = {"platform_machine": self.machine}
        wanted = [Requirement(text) for text in dependencies()]
        return [
            f"{one.name}{one.specifier}"
            for one in wanted
            if one.name not in self.from_apt and (not one.marker or one.marker.evaluate(there))
        ]


RASPBERRY_PI_4 = Board(
    architecture="arm64",
    machine="aarch64",
    suite="trixie",
    python=(3, 13),
    emulator="aarch64",
    processor="cortex-a72",
    platforms=("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"),
    runtime="ai-edge-litert",
    core="""processor\t: {number}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

""",
    model="Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
)
RASPBERRY_PI_2 = Board(
    architecture="armhf",
    machine="armv7l",
    suite="bookworm",
    python=(3, 11),
    emulator="arm",
    processor="cortex-a7",
    platforms=("manylinux_2_34_armv7l", "manylinux_2_31_armv7l", "manylinux2014_armv7l"),
    runtime="tflite-runtime",
    core="""processor\t: {number}
model name\t: ARMv7 Processor rev 5 (v7l)
BogoMIPS\t: 57.60
Features\t: half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm
CPU implementer\t: 0x41
CPU architecture: 7
CPU variant\t: 0x0
CPU part\t: 0xc07
CPU revision\t: 5

""",
    model="Hardware\t: BCM2835\nRevision\t: a01041\nModel\t\t: Raspberry Pi 2 Model B Rev 1.1\n",
    from_apt=("numpy", "pillow"),
    packages=("python3-numpy", "python3-opencv", "python3-pil"),
    links=(
        ("usr/lib/arm-linux-gnueabihf/libblas.so.3", "blas/libblas.so.3"),
        ("usr/lib/arm-linux-gnueabihf/liblapack.so.3", "lapack/liblapack.so.3"),
    ),
)


def installed(board: Board) -> Path:
    """A root file system and wheels, made at the first call; skips where they cannot be made."""
    need("mmdebstrap", "unshare", "setpriv", f"qemu-{board.emulator}-static")
    if platform.machine() != "x86_64":
        pytest.skip("ARM is emulated on x86-64 only")
    packages = (*_PACKAGES, *board.packages)
    recipe = (board.suite, packages, board.platforms, board.requirements(), board.links)

    def install(folder: Path) -> None:
        need_package("hatchling")
        bootstrap(folder, *packages, architecture=board.architecture, suite=board.suite)
        for place, target in board.links:
            (folder / place).symlink_to(target)
        _download(board, folder / WHEELS.lstrip("/"))
        # The kernel's own has one processor a file, and would crash the emulator.
        for name in ("possible", "present", "online"):
            (folder / "sys/devices/system/cpu" / name).write_text("0-3\n")

    return kept(board.architecture, recipe, install)


def _download(board: Board, folder: Path) -> None:
    options = [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={board.python[0]}.{board.python[1]}",
        *(f"--platform={platform_}" for platform_ in board.platforms),
        f"--dest={folder}",
    ]
    runtime = [text for text in board.requirements() if text.startswith(board.runtime)]
    # Its own dependency on numpy cannot be had as a wheel everywhere.
    alone = ["--no-deps"] if "numpy" in board.from_apt else []
    others = [text for text in board.requirements() if text not in runtime]
    for wanted in ([*alone, *runtime], ["hatchling", *others]):
        done = pip("download", *options, *wanted)
        assert done.returncode == 0, done.stderr[-3000:]


def raspberry_pi(board: Board, folder: Path, own: Path) -> Root:
    """The root in ``folder`` on the board's processor; what is installed in it goes to ``own``."""
    cpuinfo = own / "cpuinfo"
    cores = "".join(board.core.format(number=number) for number in range(board.cores))
    cpuinfo.write_text(cores + board.model, "utf-8")
    # What is compiled of a release goes with it: the next has another name, the root is kept.
    places = (*PLACES, *(f"{COMPILED}/{part}" for part in ("opt", "tmp")))
    lent = {own / place.lstrip("/"): place for place in places}
    for outside in lent:
        outside.mkdir(parents=True)
    environment = {
        "QEMU_CPU": board.processor,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": WHEELS,
        # To pip this is the value of "compile": what nothing imports is not compiled.
        "PIP_NO_COMPILE": "0",
    }
    return Root(folder, {cpuinfo: "/proc/cpuinfo", REPOSITORY: CHECKOUT}, lent, environment)


@contextmanager
def emulation(board: Board) -> Iterator[None]:
    """Let the kernel start the board's programs through qemu; as it was before afterwards.

    The process that has registered the format stays: newer kernels forget all formats when nobody
    has their list mounted any more.
    """
    line = ["unshare", "--mount", "sh", "-ec", _REGISTER, "sh", f"qemu-{board.emulator}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as holder:
        assert holder.stdin
        assert holder.stdout
        said = holder.stdout.readline()
        assert said == b"ready\n", said
        yield
        # Leaving closes its standard input, which ends it.
