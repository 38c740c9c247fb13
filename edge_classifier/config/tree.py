"""Settings as tables within tables, as files and messages have them."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def as_tree(settings: object) -> dict[str, Any]:
    """All settings, without what is not set: TOML has no null."""
    tree: dict[str, Any] = _plain(settings)
    return tree


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        value = {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    return str(value) if isinstance(value, Path) else value
