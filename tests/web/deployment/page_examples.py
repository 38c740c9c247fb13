"""The examples of docs/web.md."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "web.md").read_text("utf-8")


# Where the page is, in the examples.
INSIDE = "127.0.0.1:8090"


def blocks(kind: str) -> list[str]:
    """All blocks of code of this kind, without what indents them in a list."""
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def block(kind: str, word: str) -> str:
    """The one of this kind with ``word`` in it."""
    (found,) = (text for text in blocks(kind) if word in text)
    return found


def shell(command: str, folder: Path) -> str:
    """What ``command`` prints, with this interpreter's programs first."""
    done = subprocess.run(
        ["sh", "-euc", f'PATH="{Path(sys.executable).parent}:$PATH"\n{command}'],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed(program: str, package: str) -> str:
    """Its path; skips the test where there is none."""
    found = shutil.which(program, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    if not found:
        pytest.skip(f"{program} is not installed (apt install {package})")
    return found
