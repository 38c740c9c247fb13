"""Files that are there as a whole or not at all, and the time stamps that are written into them."""

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import BinaryIO

from edge_classifier.errors import OutputError

# What tells the unfinished files of writers of the same path apart.
_WRITER = re.compile("[0-9a-f]+")


@contextmanager
def replacing(
    path: Path, *, durable: bool = True, mode: int = 0o666, beside: Path | None = None
) -> Iterator[BinaryIO]:
    """A file that becomes ``path`` in one step when the block ends, and is removed if it fails.

    ``durable``: the content is on the medium before the name is, and both when the block has
    ended, so that a power cut leaves the old file or the new one, and no empty one. Without it a
    file costs much less, and lives less long in the card. ``mode`` is that of a new file.
    ``beside``: where it is written until then; needed where two threads may write the same path.
    Raises OSError.
    """
    # A name may have 255 bytes, and a character has up to 4.
    beside = beside or path.with_name(f".{path.name[:60]}.unfinished")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(beside, flags, mode), "wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
        if durable:
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


@contextmanager
def own_name_beside(path: Path) -> Iterator[Path]:
    """An empty file in which ``path`` is written before it is whole, whoever else writes it.

    It is locked until the block ends. Those that nobody holds any more are left of writers that
    were killed, and deleted: unlike the number of a process, a lock is the same for all containers
    that have the folder. Raises OSError.
    """
    # A name may have 255 bytes, and a character has up to 4.
    start = f".{path.name[:50]}."
    for left in path.parent.glob(f"{escape(start)}*.unfinished"):
        if _WRITER.fullmatch(left.name.removeprefix(start).removesuffix(".unfinished")):
            with suppress(OSError), left.open("rb") as file:
                if _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    left.unlink()
    while True:
        beside = path.with_name(f"{start}{secrets.token_hex(8)}.unfinished")
        with beside.open("xb") as file:
            _lock(file, fcntl.LOCK_EX)
            # Whoever deletes what is left may have come between.
            if os.fstat(file.fileno()).st_nlink:
                yield beside
                return


def _lock(file: BinaryIO, how: int) -> bool:
    """Whether it is ours now; some network file systems know no locks."""
    try:
        fcntl.flock(file, how)
    except OSError:
        return False
    return True


def open_regular(path: Path) -> BinaryIO:
    """``path``, to be read. Raises OSError, also for a pipe or a device: they could last for ever.

    The same for any small file that a person names: settings, labels, secrets.
    """
    # Opening a pipe would wait for who writes into it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def sync_folder(folder: Path) -> None:
    """The names in ``folder`` are on the medium when this returns. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Network file systems that know no such thing.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make ``folder`` and those above it, on the medium; nothing where it is. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def write_whole(path: Path, content: bytes | str, *, durable: bool = True) -> None:
    """Write ``content``, a text as UTF-8, to ``path`` as ``replacing`` does. Raises OutputError.

    Half characters, which the name of a file may hold, become question marks.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    try:
        with replacing(path, durable=durable) as file:
            file.write(data)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError, remedy: str = "") -> OutputError:
    """What to raise from ``error``."""
    return OutputError(str(path), f"cannot be written ({error.strerror})", remedy)


def default_state_folder(program: str, environment: Mapping[str, str]) -> Path:
    """Where ``program`` keeps its files if no setting says so; not made. Raises OutputError.

    systemd may give several in $STATE_DIRECTORY; the first is meant. Without it the XDG Base
    Directory Specification counts. A user whom systemd makes for one service has no home.
    """
    if given := environment.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(given)
    if home := environment.get("XDG_STATE_HOME"):
        return Path(home, program)
    try:
        return Path.home() / ".local/state" / program
    except RuntimeError as error:
        problem, remedy = "this user has no home to keep it in", "Set state_folder."
        raise OutputError("state folder", problem, remedy) from error


def may_be_there(path: Path) -> bool:
    """Whether reading ``path`` would find something, or be refused."""
    try:
        return path.exists()
    except PermissionError:
        return True  # Reading it will say so; to skip it would leave people guessing.
    except OSError:
        return False  # Such as a name that is too long.


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; False also for what this user may not look at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether ``path`` is a file; False also for what this user may not look at."""
    try:
        return path.is_file()
    except OSError:
        return False


def device_and_inode(path: Path) -> tuple[int, int] | None:
    """What tells the file at ``path`` from all others; None: there is nothing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def why_missing(path: Path, kind: str) -> str:
    """What to say of a ``path`` that is not a file or folder, which is its ``kind``, to be used."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"no such {kind}"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    return "is a file, not a folder" if kind == "folder" else f"is not a {kind}"


def utc_stamp(utc_s: float) -> str:
    """Seconds since 1970 as ISO 8601, in milliseconds: ``2026-07-26T10:56:42.123Z``."""
    moment = datetime.fromtimestamp(utc_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def name_stamp(utc_s: float) -> str:
    """The same in microseconds for the name of a file: ``20260726T105642123456Z``."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y%m%dT%H%M%S%fZ")


def nameless_file(name: str) -> BinaryIO:
    """A file that no folder has, in memory where that can be: a disk may be full.

    ``name`` is what ``/proc`` shows for it. It ends when it is closed everywhere.
    """
    # Elsewhere than on Linux there is no such call, and a sandbox may forbid it.
    with suppress(AttributeError, OSError):
        return os.fdopen(os.memfd_create(name), "w+b")
    import tempfile  # Here, because Linux needs it nowhere.

    return tempfile.TemporaryFile()
