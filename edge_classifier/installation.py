"""How this installation was made, and so which command adds what it lacks."""

import json
import os
import shlex
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_NAME = "edge-classifier"
# Where scripts/install.sh puts its releases. An upgrade replaces a release with all that pip has
# added to it; the script remembers what it was asked for.
_RELEASES = f"/opt/{_NAME}/"
_OF_THE_PAGE = ("web", "notify")


def how_to_add(extra: str) -> str:
    """The command that adds ``extra`` to this installation, to be typed as it stands."""
    own = _own()
    if own is None:
        return f"In a clone: {shlex.quote(sys.executable)} -m pip install '.[{extra}]'"
    # PEP 610: where it came from; nothing is written down if that was an index.
    origin = json.loads(own.read_text("direct_url.json") or "{}")
    if sys.prefix.startswith(_RELEASES):
        script = f"{_path_of(origin['url'])}/scripts/install.sh" if origin else "scripts/install.sh"
        option = "--web" if extra in _OF_THE_PAGE else f"--with={extra}"
        return f"sudo {shlex.quote(script)} {option}"
    installer = _installer(own)
    if not installer:
        return f"Build the image with the extra [{extra}]: docs/container.md"
    return f"{installer} {_requirement(origin, extra)}"


def how_to_install(package: str) -> str:
    """The command that puts another package into this environment."""
    own = _own()
    installer = _installer(own) if own else ""
    return f"{installer or f'{shlex.quote(sys.executable)} -m pip install'} {package}"


def _own() -> "Distribution | None":
    """This package as it was installed; None: it only lies on Python's path."""
    # Here, because it takes as long as a picture to classify.
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(_NAME)
    except PackageNotFoundError:
        return None


def _installer(own: "Distribution") -> str:
    """Pip or uv, as root where only root may change the environment; empty: neither is there."""
    sudo = "" if os.access(str(own.locate_file("")), os.W_OK) else "sudo "
    python = shlex.quote(sys.executable)
    if find_spec("pip"):
        return f"{sudo}{python} -m pip install"
    if (own.read_text("INSTALLER") or "").strip() == "uv":
        return f"{sudo}uv pip install --python {python}"
    return ""


def _requirement(origin: dict[str, Any], extra: str) -> str:
    """The package with ``extra``, from where it came."""
    named, address = f"{_NAME}[{extra}]", origin.get("url", "")
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return shlex.quote(f"{named} @ {vcs['vcs']}+{address}@{vcs['commit_id']}")
    if not address.startswith("file:"):
        return shlex.quote(f"{named} @ {address}" if address else named)
    option = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return option + shlex.quote(f"{_path_of(address)}[{extra}]")


def _path_of(address: str) -> str:
    return unquote(urlsplit(address).path)
