"""The folder that the daemon keeps its events and pictures in: is it writable, is there room?"""

import os
import shutil
import tempfile

from edge_classifier.cli.doctor.finding import DoctorFinding
from edge_classifier.config.settings import Settings
from edge_classifier.files import default_state_folder

# Below it events may be lost before long.
_LEAST_FREE = 50_000_000


def look_at_disk(settings: Settings) -> list[DoctorFinding]:
    """Nothing is made: the folder may not be there before the daemon's first start."""
    folder = settings.device.state_folder or default_state_folder("edge-classifier", os.environ)
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
    except OSError as error:
        return [DoctorFinding("disk", f"{folder}: cannot be looked at ({error.strerror})")]
    wanted = _LEAST_FREE + settings.store.max_bytes * settings.store.enabled
    room = f"{free / 1e9:.1f} GB free"
    if free < _LEAST_FREE:
        return [DoctorFinding("disk", f"{folder}: {room}. Make some room", ok=False)]
    if free < wanted:
        room += f", less than the {wanted / 1e9:.1f} GB that store.max_bytes allows to be kept"
    is_made = "" if there == folder else "; the daemon makes it"
    # Only the service's user need be able to write there.
    writable = "writable"
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        writable = f"not writable for this user ({error.strerror})"
    return [DoctorFinding("disk", f"{folder}: {writable}, {room}{is_made}", ok=True)]
