"""docs/training-settings.md, made from the settings of a training run.

``python -m edge_classifier.training.reference > docs/training-settings.md`` writes it anew.
"""

from edge_classifier.config.reference import sections
from edge_classifier.config.schema import SchemaNode
from edge_classifier.training.settings import TrainingSettings

_INTRODUCTION = """\
<!-- Made by `python -m edge_classifier.training.reference`; the texts are in settings.py there. -->
# Settings of a training run

None of them must be set. [training.md](training.md) says when to touch which; here are all.

```
edge-classify train --config garden.toml --out runs/garden
edge-classify train garden --out runs/garden --set finetune.rate=1e-4 --set augment.flip=false
```

The later wins, key by key:

1. the defaults below
2. the file of `--config`; with `--resume`, and for `edge-classify export`, the `settings.toml` in
   the run's own folder
3. `--set KEY=VALUE`, as often as needed; values are TOML, text needs no quotes
4. options of their own, such as `--epochs`: [cli.md](cli.md#edge-classify-train) has their keys

A file needs only what is to differ:

```toml
# garden.toml
seed = 1

[data]
folder = "garden"
other = "other"

[network]
size = 160

[finetune]
epochs = 12
```

A key that does not exist is an error, as is a number out of its range; all errors are told at once.
Paths begin where the program is started, and `~` is not expanded. `RUN/settings.toml` has all
settings that were in force, defaults included: `--config` takes it as it is.
"""


def reference() -> str:
    """The page, as Markdown."""
    return "\n".join([_INTRODUCTION, *sections(SchemaNode.root(TrainingSettings))])


if __name__ == "__main__":
    print(reference(), end="")
