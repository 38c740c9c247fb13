"""A settings file of one camera, and how tests read it."""

from collections.abc import Iterator
from pathlib import Path

from edge_classifier.config.load import examine
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import SettingsReport, SettingsSources
from edge_classifier.config.toml import Key

ONE = '[cameras.front]\nsource = "0"\n'


def read(path: Path | None, *assignments: str, **environment: str) -> SettingsReport[Settings]:
    return examine(SettingsSources(path, environment, assignments))


def wrong(report: SettingsReport[Settings]) -> dict[str, str]:
    """Key to what is said about it."""
    assert len({problem.key for problem in report.problems}) == len(report.problems)
    assert (report.settings is None) == bool(report.problems)
    return {problem.key: problem.text for problem in report.problems}


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def every_value() -> Iterator[tuple[Key, SchemaNode]]:
    for table, node in SchemaNode.root(Settings).tables():
        for name, value in node.values().items():
            yield tuple("front" if part == "NAME" else part for part in (*table, name)), value


VALUES = dict(every_value())
