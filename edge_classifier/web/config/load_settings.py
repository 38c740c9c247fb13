"""Settings of the web server from a TOML file, variables and options."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_classifier.config.load import read_settings
from edge_classifier.config.sources import SettingsSources
from edge_classifier.files import may_be_there
from edge_classifier.web.config.settings import WebSettings

SYSTEM_FILE = Path("/etc/edge-classifier/web.toml")
# ``EDGE_CLASSIFIER_WEB__SERVER__PORT`` is the key ``server.port``.
PREFIX = "EDGE_CLASSIFIER_WEB__"
_HOW_TO_GET = "docs/web-settings.md shows one; none is needed."


def load(
    path: Path | None,
    assignments: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> WebSettings:
    """The settings in the file at ``path``, below variables, below ``KEY=VALUE`` assignments.

    Without ``path``, ``SYSTEM_FILE`` is read if it is there. Raises ConfigurationError with all
    problems, MissingFileError and UsageError.
    """
    path = path or (SYSTEM_FILE if may_be_there(SYSTEM_FILE) else None)
    sources = SettingsSources(
        environment=environment, assignments=tuple(assignments), prefix=PREFIX
    )
    return read_settings(WebSettings, path, sources, how_to_get=_HOW_TO_GET).require()
