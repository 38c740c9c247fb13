"""Damaged configuration files of daemon, page and training, and those who read them."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_classifier.config.load import examine, read_settings
from edge_classifier.config.reference import merged
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.settings import CameraSettings, Settings
from edge_classifier.config.sources import SettingsSources
from edge_classifier.config.toml import as_tree, document, dotted, inline
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.web.config.settings import WebSettings
from tests.mutations.damage import Findings, mutated

_ODD = (
    *("", "true", "-1", "0", "1e400", "nan", "-inf", "9" * 400, '"x"', "'''a\nb'''", '"\\u0000"'),
    *("[]", "[[1], {a = 2}]", "{}", "{a = {b = {}}}", "1979-05-27", "07:32:00", "0x_1"),
    *("[" * 3_000, "{a = " * 2_000, '"' + "ß" * 5_000 + '"', '"\ud800"', '"$(id)"', '"../../x"'),
)


def whole_files() -> dict[str, str]:
    """By their kind, files that set every key to its default."""
    files = {"daemon": document(as_tree(Settings(cameras={"front": CameraSettings(source="0")})))}
    for name, kind in _other_kinds().items():
        files[name] = "\n".join(_lines(kind))
    return files


def _other_kinds() -> dict[str, type[Any]]:
    """Beside the daemon's."""
    # Of a part of the program that the device has not.
    from edge_classifier.training.settings import TrainingSettings

    return {"web": WebSettings, "training": TrainingSettings}


def _lines(kind: type[Any]) -> Iterator[str]:
    for table, node in SchemaNode.root(kind).tables():
        if "NAME" not in table:
            if table:
                is_listed = table[-1] == 0
                yield f"[[{dotted(table[:-1])}]]" if is_listed else f"[{dotted(table)}]"
            for name, value in node.values().items():
                unset = "x" if name in node.required else ""
                yield f"{name} = {inline(unset if value.default is None else value.default)}"


def try_settings(folder: Path, count: int, source: random.Random) -> Findings:
    """Each file is taken, or refused with what is wrong in it."""
    findings = Findings()
    files = whole_files()
    path = folder / "mutated.toml"
    for number in range(count):
        kind = ("daemon", "web", "training")[number % 3]
        path.write_bytes(_mutated_file(files[kind], source))
        with findings.trial(f"settings {number} ({kind})", EdgeClassifierError):
            _read(kind, path)
    return findings


def _mutated_file(text: str, source: random.Random) -> bytes:
    if source.random() < 0.3:
        return mutated(text.encode(), source)
    lines = text.splitlines()
    for _ in range(source.choice((1, 1, 2, 5))):
        at = source.randrange(len(lines))
        key, _, value = lines[at].partition(" = ")
        other = source.choice(lines)
        lines[at] = source.choice(
            (
                f"{key} = {source.choice(_ODD)}",
                f"{key} = {source.choice(_ODD)}",
                f"{other.partition(' = ')[0]} = {value}",
                f"{source.choice(_ODD)} = {value}",
                f"{key}.{key} = {value}",
                other,
                "",
            )
        )
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _read(kind: str, path: Path) -> None:
    sources = SettingsSources(path)
    if kind == "daemon":
        report = examine(sources)
        merged(report, origins=True)
        problems = report.problems
        settings: Settings | None = None if problems else report.require()
        assert problems or settings
    else:
        found = read_settings(_other_kinds()[kind], path, sources, how_to_get="")
        problems = found.problems
    for problem in problems:
        line = str(problem)
        assert len(line.splitlines()) == 1, line
    if problems:
        raise EdgeClassifierError(str(path), "refused")
