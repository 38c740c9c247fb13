"""``edge-classify train``: from a folder of pictures to an int8 model, with a report."""

import importlib.util
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from edge_classifier.cli.common import add_set_option, whole_number
from edge_classifier.core.text import escaped
from edge_classifier.errors import ConfigurationError, ExitCode, UnavailableError, UsageError
from edge_classifier.installation import how_to_add

DESCRIPTION = """Learns to tell pictures apart: one folder a class. Writes RUN/model.tflite, which
`edge-classify --model` and the daemon run, and RUN/report.html, which says how good it is."""
# What the extra brings that nothing else does.
LIBRARIES = ("torch", "litert_torch", "litert_quantizer", "safetensors")
# Option to the key that it sets.
_OPTIONS = {
    "data": "data.folder",
    "other": "data.other",
    "validation": "data.validation",
    "network": "network.name",
    "width": "network.width",
    "size": "network.size",
    "head": "network.head",
    "pretrained": "network.pretrained",
    "epochs": "finetune.epochs",
    "unfreeze": "finetune.unfreeze",
    "device": "machine.device",
    "workers": "machine.workers",
    "seed": "seed",
    "learning_curve": "learning_curve",
    "tensorboard": "machine.tensorboard",
}


def require_training() -> None:
    """Raise UnavailableError where the extra is not installed."""
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise UnavailableError(
            ", ".join(missing),
            "not installed: training needs a workstation's libraries",
            how_to_add("train"),
        )


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", nargs="?", type=Path, metavar="DATA", help="one folder a class")
    parser.add_argument("--out", type=Path, metavar="RUN", help="the folder of this run")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    add_set_option(parser, "one setting, e.g. finetune.rate=1e-4; may be repeated")
    parser.add_argument("--resume", action="store_true", help="go on where RUN was left")
    parser.add_argument(
        "--no-export", action="store_true", help="train only; `edge-classify export RUN` follows"
    )
    parser.add_argument(
        "--list-models", action="store_true", help="compare the networks that can be trained"
    )
    group = parser.add_argument_group("settings (all of them: docs/training-settings.md)")
    for name, text in {
        "other": "pictures of anything else: they become the class `unknown`",
        "validation": "own class folders to measure on",
    }.items():
        group.add_argument(f"--{name}", type=Path, metavar="FOLDER", help=text)
    group.add_argument("--network", metavar="NAME", help="mobilenet-v2 or efficientnet-lite0")
    group.add_argument("--width", type=float, metavar="SHARE", help="MobileNetV2's, 0.35 to 1.4")
    group.add_argument("--size", type=int, metavar="PX", help="side of the input: 96 to 224")
    group.add_argument("--head", metavar="linear|dense", help="what stands on the features")
    group.add_argument(
        "--pretrained", metavar="embedded|imagenet|none|FILE", help="the first weights"
    )
    count = whole_number(0, 10_000)
    group.add_argument("--epochs", type=count, metavar="N", help="of fine-tuning, at most")
    group.add_argument("--unfreeze", type=int, metavar="N", help="blocks to fine-tune; -1: all")
    group.add_argument("--device", metavar="auto|cpu|cuda|mps", help="what computes")
    group.add_argument("--workers", type=int, metavar="N", help="processes that read pictures")
    group.add_argument("--seed", type=int, metavar="N", help="all chance follows from it")
    for name, text in {
        "learning-curve": "also measure whether more pictures would help",
        "tensorboard": "write curves for TensorBoard",
    }.items():
        group.add_argument(f"--{name}", action="store_const", const=True, help=text)


def run(options: Namespace) -> ExitCode:
    """Train, or list what can be trained."""
    require_training()
    if options.list_models:
        from edge_classifier.training.networks import table  # Here, as all of training: torch.

        print(*table.lines(table.read()), sep="\n")
        return ExitCode.OK
    if not options.out:
        raise UsageError("--out", "is missing", "Name the folder of this run: --out RUN")
    from edge_classifier.training import load_settings, run_folder, session

    given = {
        key: str(value) if isinstance(value, Path) else value
        for name, key in _OPTIONS.items()
        if (value := getattr(options, name)) is not None
    }
    kept = options.out / run_folder.SETTINGS_FILE
    file = options.config or (kept if options.resume and kept.exists() else None)
    settings = load_settings.load(file, options.assignments, given)
    if settings.data.folder is None:
        raise ConfigurationError("DATA", "no folder of pictures is named", "train DATA --out RUN")
    written = session.train_and_export(
        settings,
        options.out,
        resume=options.resume,
        export=not options.no_export,
        log=print_line,
    )
    if written:
        announce(options.out, written.page or written.json)
    elif options.no_export:
        print_line(f"trained; the model file and its report: edge-classify export {options.out}")
    return ExitCode.OK


def print_line(line: str) -> None:
    """Say what goes on, where it spoils no output."""
    print(f"edge-classify: {escaped(line)}", file=sys.stderr, flush=True)


def announce(folder: Path, report: Path) -> None:
    """Say what there is now, and what to do with it."""
    model = folder / "model.tflite"
    print(f"{model}\n{report}")
    print_line(f"look at {report}, then try: edge-classify --model {model} --image PICTURE")
