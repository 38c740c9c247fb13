"""A Debian in a folder, of this or of another architecture; 13 (Python 3.13) if nobody says.

What runs in it has this machine's network, processes and users, but a file system of its own. Its
mounts are in a name space of its own, so they go with the process, however that ends.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from tests.system.machine import apt_mirror, pip_settings

PYTHON = "/usr/bin/python3"
# Where pip puts packages, below the root.
SITE = "usr/local/lib/python3.13/dist-packages"
# Where Python keeps what it has compiled, in folders like those of the sources.
COMPILED = "/var/cache/python"

# Packages are unpacked, not configured: that is quick, and needs no emulation. What their scripts
# would have done is made here: the links of a merged /usr.
_LINKS = """
for folder in bin sbin lib lib64; do
  mkdir -p "$1/usr/$folder"
  ln -s "usr/$folder" "$1/$folder"
done
mkdir -p "$1/proc" "$1/dev" "$1/tmp" "$1/sys/devices/system/cpu"
"""
# $1 is the root; then triples of ro or rw, a path here and a path there; then --, and the command.
_ENTER = """
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
while [ "$1" != -- ]; do
  target=$root/$3
  if [ -d "$2" ]; then
    mkdir -p "$target"
  elif [ ! -e "$target" ]; then
    mkdir -p "${target%/*}"
    touch "$target"
  fi
  mount --bind "$2" "$target"
  mount -o "remount,bind,$1" "$target"
  shift 3
done
shift
exec chroot "$root" "$@"
"""
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs")
_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "HOME": "/tmp",  # noqa: S108 (made anew for each process)
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/usr/sbin",
        # A mounted source tree gets no files of another Python, and starts fast all the same.
        "PYTHONPYCACHEPREFIX": COMPILED,
        "PYTHONUNBUFFERED": "1",
    }
)


def bootstrap(folder: Path, *packages: str, architecture: str = "", suite: str = "trixie") -> None:
    """Unpack a new Debian with ``packages`` and all that they need into ``folder``.

    No ``architecture`` is this machine's own.
    """
    hook = f"--setup-hook=set -e; set -- $1; {_LINKS}"
    include = f"--include={','.join(packages)}"
    options = ["--quiet", "--variant=extract", include, hook]
    if architecture:
        options.append(f"--architectures={architecture}")
    # Its mounts, too, go with it.
    command = ["unshare", "--mount", "mmdebstrap", *options, suite, str(folder), apt_mirror()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


@dataclass(frozen=True)
class Root:
    """The Debian in ``folder``, with some of this machine's files and folders in it."""

    folder: Path
    # Path on this machine to where it appears, not to be written to from inside.
    shown: Mapping[Path, str] = field(default_factory=dict)
    # The same, but writable.
    lent: Mapping[Path, str] = field(default_factory=dict)
    # On top of a plain one; nothing of this machine's comes in by itself.
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(
        self, *command: str | Path, stdout: int | None = None, stderr: int | None = None
    ) -> subprocess.Popen[str]:
        """Start a program; the process is the program's own, and is killed with this one."""
        network = {Path(path): path for path in _NETWORK}
        binds = [*_triples("ro", {**network, **self.shown}), *_triples("rw", self.lent)]
        enter = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-ec", _ENTER, "sh"]
        return subprocess.Popen(
            [*enter, str(self.folder), *binds, "--", *map(str, command)],
            env={**_ENVIRONMENT, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def run(self, *command: str | Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        with self.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def pip_install(self, *arguments: str) -> None:
        """Install with the root's own pip and this machine's pip settings."""
        settings = {**pip_settings(), "PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_NO_CACHE_DIR": "1"}
        quiet = ["--quiet", "--root-user-action=ignore", "--no-compile"]
        command = [PYTHON, "-m", "pip", "install", *quiet, *arguments]
        done = replace(self, environment=settings).run(*command, timeout_s=280)
        assert done.returncode == 0, done.stderr[-3000:]


def _triples(mode: str, binds: Mapping[Path, str]) -> list[str]:
    return [part for outside, inside in binds.items() for part in (mode, str(outside), inside)]
