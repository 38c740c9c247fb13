"""From everything that was set to settings, or to all that is wrong with it.

Loads pydantic, through ``schema`` and ``validate``: the daemon calls ``config.load_in_child``,
which does this in a process that ends.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from edge_classifier.config import checks
from edge_classifier.config.layers import (
    Draft,
    add_assignments,
    add_environment,
    add_file,
    add_options,
)
from edge_classifier.config.schema import INHERITED, SchemaNode
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import (
    Kind,
    SettingProblem,
    SettingsReport,
    SettingsSources,
    find_file,
    search_path,
)
from edge_classifier.config.toml import leaves
from edge_classifier.config.validate import nul_problems, too_many_cameras, validate

# What is wrong, or not meant, beyond kinds and ranges.
Check = Callable[[Draft, SchemaNode], Iterable[SettingProblem]]
_HOW_TO_GET = "`edge-classify config init` writes one"


def load(sources: SettingsSources) -> Settings:
    """The daemon's settings. Raises ConfigurationError with all problems, MissingFileError."""
    return examine(sources).require()


def examine(sources: SettingsSources) -> SettingsReport[Settings]:
    """The daemon's settings, or everything wrong. Raises MissingFileError, UsageError."""
    file = find_file(sources)
    report = read_settings(
        Settings,
        file,
        sources,
        how_to_get=f"{_HOW_TO_GET}.",
        completed=inherited,
        problems_of=checks.problems_of,
        warnings_of=checks.warnings_of,
    )
    if file or any(key[0] == "cameras" for key in report.origins):
        return report
    looked = " nor ".join(map(str, search_path(sources.environment)))
    problem = SettingProblem(f"there is neither {looked}; {_HOW_TO_GET}")
    return SettingsReport(None, problems=(problem,))


def read_settings(
    kind: type[Kind],
    file: Path | None,
    sources: SettingsSources,
    *,
    how_to_get: str,
    completed: Callable[[dict[str, Any]], dict[str, Any]] = lambda tree: tree,
    problems_of: Check = lambda *_: (),
    warnings_of: Check = lambda *_: (),
) -> SettingsReport[Kind]:
    """Settings of any ``kind`` from ``file`` and ``sources``, or everything that is wrong.

    ``how_to_get``: the remedy where the file is named and not there. ``completed`` adds what
    one table takes from another. Raises MissingFileError, UsageError.
    """
    draft, root = Draft(), SchemaNode.root(kind)
    try:
        broken = add_file(draft, file, how_to_get) if file else None
        if broken:
            return SettingsReport(file, problems=(broken,))
        problems = add_environment(draft, sources, root) + add_assignments(draft, sources, root)
        add_options(draft, sources)
        # An empty path takes back the one that a weaker source has set.
        for key, value in list(leaves(draft.tree)):
            node = root.at(key)
            if value == "" and node and node.is_path:
                draft.forget(key)
        # Before what looks at each of them, and would say thousands of things.
        if too_many := too_many_cameras(draft, root):
            return SettingsReport(file, problems=(too_many,), origins=draft.origins)
        settings, wrong = validate(completed(draft.tree), draft, root, kind)
        problems += [*nul_problems(draft), *wrong, *problems_of(draft, root)]
        warnings = tuple(warnings_of(draft, root))
    except RecursionError:
        problem = SettingProblem("tables or lists are nested too deeply")
        return SettingsReport(file, problems=(problem,), origins=draft.origins)
    return SettingsReport(
        file,
        None if problems else settings,
        tuple(sorted(set(problems), key=lambda problem: (problem.key, problem.text))),
        warnings,
        draft.origins,
    )


def inherited(tree: dict[str, Any]) -> dict[str, Any]:
    """``tree`` with the keys of [decision] and [motion] in each camera that does not set them."""
    cameras = tree.get("cameras")
    if not isinstance(cameras, dict):
        return tree
    tables = {name: tree[name] for name in INHERITED if isinstance(tree.get(name), dict)}
    completed_cameras = {
        name: _merged(tables, camera) if isinstance(camera, dict) else camera
        for name, camera in cameras.items()
    }
    return {**tree, "cameras": completed_cameras}


def _merged(weak: Any, strong: Any) -> Any:
    if not isinstance(weak, dict) or not isinstance(strong, dict):
        return strong
    both = {name: _merged(weak[name], strong[name]) for name in weak.keys() & strong.keys()}
    return {**weak, **strong, **both}
