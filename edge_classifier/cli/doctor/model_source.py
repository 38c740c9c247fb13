"""The place that models are fetched from: is it there, is it the page, does it know this device?"""

import os
from pathlib import Path

from edge_classifier.cli.doctor.finding import DoctorFinding
from edge_classifier.config.settings import ModelSourceSettings
from edge_classifier.daemon.models.download import DownloadLimits, ModelDownload

_LIMITS = DownloadLimits(stall_s=20.0)
# Of no file.
_NOBODYS = "0" * 64


def try_model_source(models: ModelSourceSettings) -> list[DoctorFinding]:
    """Ask it for a model that it does not have. Raises the errors of ``try_source``."""
    if not models.source:
        text = "models.source is not set: models come from this machine alone"
        return [DoctorFinding("models.source", text)]
    nowhere = Path(os.devnull)
    ModelDownload(models, _NOBODYS, nowhere, limits=_LIMITS).try_source()
    text = f"{models.source} answers, and takes this device's token"
    return [DoctorFinding("models.source", text, ok=True)]
