"""A throw-away machine with a real systemd: a root under an overlay, in systemd-nspawn.

The root is this host's, or another Debian's in a folder.

Nothing that happens inside reaches the host: writes go to memory, the network is its own, and
the host's services are not started.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# Where the hierarchies that systemd uses are mounted, on old hosts and on new ones.
CGROUPS = tuple(Path("/sys/fs/cgroup", name) for name in ("", "unified", "systemd"))
PROGRAMS = ("systemd-nspawn", "nsenter", "pgrep", "mount")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
BOOT_LIMIT_S = 90.0
HALT_LIMIT_S = 60.0
# Limit of what may be written inside.
MEMORY = "3g"

Completed = subprocess.CompletedProcess[str]


def what_is_missing() -> str:
    """Why no machine can be booted here; empty: one can."""
    if os.geteuid() != 0:
        return "not root: systemd-nspawn cannot boot a machine"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)} (apt: systemd-container)" if missing else ""


@contextmanager
def machine(
    folder: Path, binds: Mapping[Path, str], lower: Path = Path("/")
) -> Iterator["Machine"]:
    """A booted machine that sees each folder of ``binds`` read-only at the given place.

    ``lower``: the root that it begins with, which is not written to.
    """
    made = Machine(folder, binds, lower)
    try:
        made.build()
        made.boot()
        yield made
    finally:
        made.remove()


class Machine:
    """One machine; what is written inside survives its reboots, but not its removal."""

    def __init__(self, folder: Path, binds: Mapping[Path, str], lower: Path) -> None:
        self._folder = folder / "machine"
        self._lower = lower
        self._binds = binds
        # Of several machines of one process each has control groups of its own.
        self._name = f"edge-classifier-{os.getpid()}-{folder.name}"
        self._console = folder / "console.log"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    @property
    def root(self) -> Path:
        """Its root, as seen from outside; without its /run, /tmp and what is bound."""
        return self._folder / "root"

    @property
    def written(self) -> Path:
        """What is different from the root that it began with, and nothing else: as in ``root``."""
        return self._folder / "upper"

    def build(self) -> None:
        """Lay an overlay over the root, and take the services out of it that are not ours."""
        self._folder.mkdir()
        _host("mount", "-t", "tmpfs", "-o", f"size={MEMORY}", "tmpfs", self._folder)
        work = self._folder / "work"
        for part in (self.written, work, self.root):
            part.mkdir()
        layers = f"lowerdir={self._lower},upperdir={self.written},workdir={work}"
        _host("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        etc = self.root / "etc"
        for old in (etc / "systemd/system", *etc.glob("rc?.d")):
            shutil.rmtree(old)
            old.mkdir()
        for name in ("machine-id", "fstab"):
            (etc / name).write_text("")

    def boot(self) -> None:
        """Start it, and wait until it is up. Raises RuntimeError, with what it said, if not."""
        groups = self._cgroups()
        for group in groups:
            group.mkdir(exist_ok=True)
        # In control groups of its own, so that nothing of it is left in those of the tests.
        enter = "".join(f"echo $$ >{group}/cgroup.procs; " for group in groups)
        with self._console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-ec", f'{enter}exec "$@"', "sh", *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        deadline = time.monotonic() + BOOT_LIMIT_S
        while not self._is_up():
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                said = self._console.read_text("utf-8", "replace")[-2000:]
                raise RuntimeError(f"the machine does not boot: {said}")
            time.sleep(0.2)

    def run(
        self,
        *command: str | Path,
        check: bool = True,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Completed:
        """Run a command inside as root; with ``check``, AssertionError tells how it failed."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-a", *map(str, command)],
            env={**ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        said = f"{command} -> {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        assert not check or done.returncode == 0, said
        return done

    def systemctl(self, *arguments: str, check: bool = True, timeout_s: float = 240) -> str:
        """What ``systemctl`` says."""
        return self.run("systemctl", *arguments, check=check, timeout_s=timeout_s).stdout.strip()

    def shows(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.systemctl("show", "--value", "--property", name, unit)

    def halt(self) -> None:
        """Shut it down as a person would; one that hangs loses its power."""
        self._end(signal.SIGRTMIN + 4)

    def cut_power(self) -> None:
        """End it without a word to anything inside."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """Leave nothing behind: no process, no mount, no control group."""
        self.halt()
        for mount in (self.root, self._folder):
            if mount.is_mount():
                _host("umount", mount)
        for group in self._cgroups():
            for inner, _, _ in os.walk(group, topdown=False):
                Path(inner).rmdir()

    def _command(self) -> Sequence[str]:
        binds = [f"--bind-ro={outside}:{inside}" for outside, inside in self._binds.items()]
        return [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            f"--machine={self._name}",
            # Neither a running systemd nor D-Bus is needed outside.
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            "--private-network",
            *binds,
            "--boot",
        ]

    def _is_up(self) -> bool:
        if self._nspawn is None:
            return False
        # While it starts, nspawn has children that come and go.
        children = _host("pgrep", "-P", str(self._nspawn.pid), check=False).stdout.split()
        self._leader = int(children[-1]) if children else 0
        if not self._leader:
            return False
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    def _end(self, number: int) -> None:
        if self._nspawn is None:
            return
        if self._leader and self._nspawn.poll() is None:
            os.kill(self._leader, number)
        try:
            self._nspawn.wait(HALT_LIMIT_S if self._leader else 0)
        except subprocess.TimeoutExpired:
            # The end of its first process is the end of all others in there.
            for pid in filter(None, (self._leader, self._nspawn.pid)):
                os.kill(pid, signal.SIGKILL)
            self._nspawn.wait(HALT_LIMIT_S)
        self._nspawn, self._leader = None, 0

    def _cgroups(self) -> list[Path]:
        roots = (root for root in CGROUPS if (root / "cgroup.procs").exists())
        return [root / self._name for root in roots]


def _host(*command: str | Path, check: bool = True) -> Completed:
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=60)
