"""docs/web-settings.md, made from the settings of the page and the recorder.

``python -m edge_classifier.web.reference > docs/web-settings.md`` writes it anew.
"""

from edge_classifier.config.reference import sections
from edge_classifier.config.schema import SchemaNode
from edge_classifier.web.configuration import PREFIX, SYSTEM_FILE
from edge_classifier.web.django_settings import DATABASE_VARIABLE
from edge_classifier.web.settings import WebSettings

_INTRODUCTION = f"""\
<!-- Made by `python -m edge_classifier.web.reference`; the texts are in web/settings.py. -->
# Settings of the web page and the recorder

None of them must be set. [web.md](web.md) and [fleet.md](fleet.md) say when to touch which; here
are all. `edge-classify web` and `edge-classify record` read the same ones.

```toml
# web.toml
title = "Garden"

[server]
host = "0.0.0.0"
allowed_hosts = ["pi.local"]

[mqtt]
host = "broker.local"
username = "edge-web"
password_file = "/etc/edge-classifier/web-secrets/mqtt-password"

[retention]
days = 365
```

The later wins, key by key:

1. the defaults below
2. the file: `--config FILE`, else `{SYSTEM_FILE}`, if it is there
3. environment variables `{PREFIX}TABLE__KEY`
4. `--set KEY=VALUE`, as often as needed
5. options of their own: `--host`, `--port` and `--group`

A table and its key, in the file, in the environment and as an option:

```
[server]
port = 8091
{PREFIX}SERVER__PORT=8091
--set server.port=8091
```

Values are TOML; text needs no quotes in the environment and in options. A key or a variable that
does not exist is an error, as is a number out of its range; all errors are told at once. Give whole
paths: others begin where the program was started, and `~` is not expanded. Changes are in force
after a restart.

| variable | for |
|---|---|
| `{DATABASE_VARIABLE}` | PostgreSQL instead of SQLite: `postgresql://USER:PASSWORD@HOST/DATABASE` |
| `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | keys of the storage that `storage.bucket` names |
| `STATE_DIRECTORY` | the state folder, where `state_folder` is not set; systemd sets it |
| `CREDENTIALS_DIRECTORY` | where the credential `mqtt-password` is; systemd sets it |
| `TZ` | the time zone of days and of the clock on pages; else the machine's |

The first two rows are secrets, and no settings; the service reads them from
`/etc/edge-classifier/web.env`.
"""


def reference() -> str:
    """The page, as Markdown."""
    return "\n".join([_INTRODUCTION, *sections(SchemaNode.root(WebSettings))])


if __name__ == "__main__":
    print(reference(), end="")
