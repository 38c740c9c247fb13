"""What tests may do as a user who is not root, and a folder that such a user cannot read."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.vision.pictures.picture_files import quarters, saved


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Permissions bind everyone but root, so give root's rights up for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def closed_folder() -> Iterator[Path]:
    """A folder that must not be read, below one that everybody can."""
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        parent.chmod(0o755)
        folder = parent / "closed"
        folder.mkdir()
        saved(folder / "cat.png", quarters())
        saved(parent / "secret.png", quarters()).chmod(0)
        folder.chmod(0)
        yield folder
        folder.chmod(0o755)
