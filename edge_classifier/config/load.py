"""From everything that was set to settings, or to all that is wrong with it.

Imports pydantic: the daemon calls ``config.load_in_child``, which does this in a process that ends.
"""

from pathlib import Path
from typing import Any

from edge_classifier.config.checks import problems_of, warnings_of
from edge_classifier.config.layers import Draft, put_assignments, put_environment, put_file
from edge_classifier.config.locations import SettingsSources, find_file, search_path
from edge_classifier.config.problems import SettingProblem, SettingsReport
from edge_classifier.config.schema import INHERITED, SchemaNode
from edge_classifier.config.settings import Settings
from edge_classifier.config.toml import leaves
from edge_classifier.config.validate import validate


def load(sources: SettingsSources) -> Settings:
    """The settings. Raises ConfigurationError with all problems, and MissingFileError."""
    return examine(sources).require()


def examine(sources: SettingsSources) -> SettingsReport:
    """The settings, or everything that is wrong. Raises MissingFileError, UsageError."""
    file = find_file(sources)
    try:
        return _examine(sources, file)
    except RecursionError:
        return SettingsReport(
            file, problems=(SettingProblem("tables or lists are nested too deeply"),)
        )


def _examine(sources: SettingsSources, file: Path | None) -> SettingsReport:
    draft, root = Draft(), SchemaNode.root()
    broken = put_file(draft, file) if file else None
    if broken:
        return SettingsReport(file, problems=(broken,))
    problems = put_environment(draft, sources, root) + put_assignments(draft, sources, root)
    if not file and not draft.tree.get("cameras"):
        looked = " nor ".join(map(str, search_path(sources.environment)))
        remedy = "`edge-classify config init` writes one"
        return SettingsReport(
            None, problems=(SettingProblem(f"there is neither {looked}; {remedy}"),)
        )
    _forget_empty_paths(draft, root)
    settings, wrong = validate(inherited(draft.tree), draft, root, Settings)
    problems = sorted({*problems, *wrong, *problems_of(draft, root)}, key=_place)
    return SettingsReport(
        file,
        None if problems else settings,
        tuple(problems),
        tuple(warnings_of(draft, root)),
        draft.origins,
    )


def _place(problem: SettingProblem) -> tuple[str, str]:
    return problem.key, problem.text


def _forget_empty_paths(draft: Draft, root: SchemaNode) -> None:
    """An empty path takes back the one that a weaker source has set."""
    for key, value in list(leaves(draft.tree)):
        node = root.at(key)
        if value == "" and node and node.is_path:
            draft.forget(key)


def inherited(tree: dict[str, Any]) -> dict[str, Any]:
    """``tree`` with the keys of [decision] and [motion] in each camera that does not set them."""
    cameras = tree.get("cameras")
    if not isinstance(cameras, dict):
        return tree
    return {**tree, "cameras": {name: _heir(camera, tree) for name, camera in cameras.items()}}


def _heir(camera: Any, tree: dict[str, Any]) -> Any:
    if not isinstance(camera, dict):
        return camera
    tables = {name: tree[name] for name in INHERITED if isinstance(tree.get(name), dict)}
    return _merged(tables, camera)


def _merged(weak: Any, strong: Any) -> Any:
    if not isinstance(weak, dict) or not isinstance(strong, dict):
        return strong
    both = {name: _merged(weak[name], strong[name]) for name in weak.keys() & strong.keys()}
    return {**weak, **strong, **both}
