"""What this machine has for system tests, what it lacks, and what is kept between two runs."""

import ast
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

REMEDY = "scripts/setup-system installs it"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")


def need(*programs: str) -> None:
    """Skip the test where this machine cannot run it, saying what is missing."""
    if os.geteuid() != 0:
        pytest.skip("root is needed: mounts and file systems are made")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is missing: {REMEDY}")


def apt_mirror() -> str:
    """The Debian mirror that this machine's own apt uses; skips where it does not answer."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not targets:
        pytest.skip("apt knows no Debian mirror: apt-get update")
    try:
        urllib.request.urlopen(f"{targets[0]}dists/trixie/InRelease", timeout=30).close()  # noqa: S310
    except (urllib.error.URLError, TimeoutError) as error:
        pytest.skip(f"the mirror of apt's sources does not answer: {error}")
    return targets[0]


def need_package(name: str) -> None:
    """Skip where pip, configured as it is on this machine, finds no such package."""
    done = pip("index", "versions", name)
    if done.returncode:
        pytest.skip(f"pip finds no {name}: its package index does not answer, or is not complete")


def pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run this environment's pip."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=280
    )


def pip_settings() -> Mapping[str, str]:
    """How pip is set up on this machine, as the environment of a pip elsewhere."""
    found = {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}
    for line in pip("config", "list").stdout.splitlines():
        key, _, value = line.partition("=")
        option = key.rpartition(".")[2]
        found[f"PIP_{option.upper().replace('-', '_')}"] = ast.literal_eval(value)
    return found


def dependencies() -> list[str]:
    """What this project needs, as pip takes it."""
    return list(_project()["dependencies"])


def optional(*extras: str) -> list[str]:
    """What its extras need in addition, but for other extras."""
    project = _project()
    wanted = [text for extra in extras for text in project["optional-dependencies"][extra]]
    return [text for text in wanted if not text.startswith(f"{project['name']}[")]


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    return dict(project["project"])


def kept(name: str, recipe: object, build: Callable[[Path], None]) -> Path:
    """The folder that ``build`` fills, from an earlier run if the ``recipe`` was the same."""
    folder = _cache() / f"{name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            build(unfinished)
            unfinished.rename(folder)
    return folder


def _cache() -> Path:
    # Not $HOME: tests are given one of their own.
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    default = home / ".cache" / "edge-classifier-tests"
    return Path(os.environ.get("EDGE_CLASSIFIER_CACHE", default))
