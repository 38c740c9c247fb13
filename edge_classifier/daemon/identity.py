"""Who this daemon is and where its state lies, where the configuration leaves it open."""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

from edge_classifier.config.settings import DeviceSettings
from edge_classifier.errors import OutputError


def node_name(device: DeviceSettings, host_name: str | None = None) -> str:
    """The configured name, else the host's, with what may not stand in a topic replaced."""
    if device.name:
        return device.name
    host = (socket.gethostname() if host_name is None else host_name).partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", host).strip("-")[:64] or "edge-classifier"


def state_folder(device: DeviceSettings, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of outbox and pictures, made if need be. Raises OutputError.

    systemd may give several in $STATE_DIRECTORY; the first is meant.
    """
    given = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    home = environment.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    folder = device.state_folder or Path(given or Path(home, "edge-classifier"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        remedy = "Set device.state_folder to a folder that this user may write."
        raise OutputError(str(folder), f"cannot be made ({error.strerror})", remedy) from error
    return folder
