"""docs/configuration.md, made from the settings.

``python -m edge_classifier.config.reference > docs/configuration.md`` writes it anew.
"""

from collections.abc import Callable, Iterable, Iterator

from edge_classifier.config.changes import effect_of
from edge_classifier.config.locations import FILE_VARIABLE, PREFIX, SYSTEM_FILE
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.toml import Key, dotted, inline

_INTRODUCTION = f"""\
<!-- Made by `python -m edge_classifier.config.reference`; the texts are in config/settings.py. -->
# Configuration

```
edge-classify config init      write a commented file
edge-classify config check     everything that is wrong with it; --labels: label names, too
edge-classify config show      what is in force, defaults included, secrets masked
edge-classify config schema    JSON Schema, for editors
```

Only a camera must be set; this is a whole file:

```toml
[cameras.front]
source = "0"

[mqtt]
host = "broker.local"
```

## Where settings come from

The later wins, key by key:

1. the defaults below
2. the file: `--config PATH`, else `${FILE_VARIABLE}`, else `{SYSTEM_FILE}`, else
   `~/.config/edge-classifier/config.toml` (in `$XDG_CONFIG_HOME`, if that is set)
3. environment variables `{PREFIX}TABLE__KEY`
4. `--set KEY=VALUE`, as often as needed

A table and its key, in the file, in the environment and as an option:

```
[mqtt]
host = "broker"
EDGE_CLASSIFIER__MQTT__HOST=broker
--set mqtt.host=broker

[cameras.front-door]
quiet_hours = ["22:00-06:00"]
EDGE_CLASSIFIER__CAMERAS__FRONT_DOOR__QUIET_HOURS='["22:00-06:00"]'
--set 'cameras.front-door.quiet_hours=["22:00-06:00"]'
```

Values are TOML; text needs no quotes in the environment and in options. Variables are in capitals;
the cameras and labels of the file are found whatever their case, with `_` for `-`, and new ones get
small letters. An empty path takes back the one that the file sets. A key or a variable that does
not exist is an error, as is a number out of its range; all errors are told at once.

Give whole paths: others begin where the program was started, and `~` is not expanded.

## Secrets

No setting holds a password. `mqtt.password_file` and `cameras.NAME.credentials_file` name files
whose first line is the secret (of a camera: `USER:PASSWORD`). Where they are not set, the systemd
credentials `mqtt-password` and `camera-NAME` are used, if there are such:
`LoadCredential=secrets:FOLDER` in the unit makes one of each file of a folder. A secret's file that
everybody can read is warned of. A password within a camera's address works, too, and is masked
wherever it would be shown; but whoever can read the settings can read it.

## Changes while it runs

`systemctl reload edge-classifier` (SIGHUP) or an MQTT request reads everything again. Below, each
setting is *live* (in force at once), *live, reopens the camera*, or *restart*: reported as
`restart_required` and in force after a restart. Cameras may come and go. A file with errors changes
nothing: the old settings stay, and the log and the response say what is wrong.

## Cameras inherit

There are 1 to 16 cameras. [decision] and [motion] are for all of them. [cameras.NAME.decision] and
[cameras.NAME.motion] take the same keys for one camera; what is not set there is taken from above.
`labels`, `aliases` and `groups` are merged name by name.
"""


def reference() -> str:
    """The page, as Markdown."""
    return "\n".join(
        [_INTRODUCTION, *sections(SchemaNode.root(), lambda key: effect_of(key).value)]
    )


def sections(root: SchemaNode, effect: Callable[[Key], str] | None = None) -> Iterator[str]:
    """Every table below ``root`` with its keys; with ``effect``, what changing each one takes."""
    for table, node in root.tables():
        if node.values():
            yield "\n".join([_title(table), "", node.text, "", *_rows(table, node, effect), ""])


def _title(table: Key) -> str:
    return f"## [{dotted(table)}]" if table else "## Before the first table"


def _rows(table: Key, node: SchemaNode, effect: Callable[[Key], str] | None) -> Iterator[str]:
    head = ("key", "default", "allowed", *(("change",) if effect else ()), "meaning")
    yield _row(head)
    yield "|" + "---|" * len(head)
    for name, value in node.values().items():
        yield _row(
            (
                f"`{name}`",
                "required" if name in node.required else _default(value),
                value.allowed,
                *((effect((*table, name)),) if effect else ()),
                value.text,
            )
        )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(node: SchemaNode) -> str:
    return "not set" if node.default is None else f"`{inline(node.default)}`"


if __name__ == "__main__":
    print(reference(), end="")
