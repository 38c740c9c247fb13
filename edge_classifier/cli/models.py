"""``edge-classify models``: the catalogue, what is in a model file, and roll-outs."""

import json
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_classifier.cli import deploy
from edge_classifier.cli.common import (
    add_action,
    add_input_range_argument,
    add_taxonomy_argument,
    one_of,
)
from edge_classifier.core.contract import Crop
from edge_classifier.core.quantization import TensorSpec
from edge_classifier.errors import ExitCode, MissingFileError, ModelError
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.modelfile.catalogue import Catalogue, Entry, load_catalogue, sha256_of
from edge_classifier.modelfile.pull import pull
from edge_classifier.modelfile.resolve import ContractOverrides
from edge_classifier.progress import Unit, show_bar

# Enough to see whether they are those of this model, at the right outputs.
_FIRST_LABELS = 5
DESCRIPTION = "Lists, inspects, fetches and verifies models; rolls them out to devices."


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(required=True, metavar="list|info|pull|verify|path|deploy")
    add_action(
        actions, "list", _list, "all models of the catalogue, and which are here", json_=True
    )
    info = add_action(actions, "info", _info, "what is inside a model", json_=True)
    info.add_argument("model", nargs="?", default="", help="a name or a path; default: the default")
    info.add_argument("--labels", type=Path, metavar="FILE", help="label names, instead of its own")
    info.add_argument(
        "--crop", type=one_of(Crop), metavar="|".join(Crop), help="instead of its own"
    )
    add_input_range_argument(info)
    add_taxonomy_argument(info)
    pull_ = add_action(actions, "pull", _pull, "fetch models into the user's data folder")
    pull_.add_argument("names", nargs="+", metavar="NAME")
    verify = add_action(actions, "verify", _verify, "compare model files with their SHA-256")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that are here")
    path = add_action(actions, "path", _print_path, "print a model's file")
    path.add_argument("model", nargs="?", default="", metavar="NAME", help="default: the default")
    deploy.add_arguments(
        add_action(
            actions,
            "deploy",
            deploy.deploy,
            "roll a model of a web page out to devices, step by step",
            json_=True,
        )
    )


def run(options: Namespace) -> ExitCode:
    """Do what the sub-command says."""
    action: Callable[[Namespace, Catalogue], ExitCode] = options.action
    return action(options, load_catalogue())


def _list(options: Namespace, catalogue: Catalogue) -> ExitCode:
    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "default": entry.name == catalogue.default,
            "state": _state(entry, catalogue),
            "input": list(entry.input),
            "labels": entry.labels,
            "licence": entry.licence,
            "title": entry.title,
            "source": entry.source,
            "sha256": entry.sha256,
            "path": str(catalogue.file(entry)),
        }
        for entry in catalogue.entries
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
        return ExitCode.OK
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "input", "labels", "state", "licence", "what it is"):
        table.add_column(column, no_wrap=column == "name")
    for row in rows:
        name = f"{row['name']} *" if row["default"] else row["name"]
        size = "{} x {}".format(*row["input"])
        labels = str(row["labels"] or "?")
        table.add_row(name, size, labels, row["state"], row["licence"], row["title"])
    width = None if sys.stdout.isatty() else 200
    console = Console(highlight=False, width=width)
    console.print(table, "* the default", sep="\n")
    return ExitCode.OK


def _state(entry: Entry, catalogue: Catalogue) -> str:
    if catalogue.has(entry):
        return "embedded" if entry.embedded else "here"
    return "to pull" if entry.offered else "not offered: checksum unknown"


def _print_path(options: Namespace, catalogue: Catalogue) -> ExitCode:
    print(catalogue.locate(options.model))
    return ExitCode.OK


def _pull(options: Namespace, catalogue: Catalogue) -> ExitCode:
    for name in options.names:
        entry = catalogue.require(name)
        with show_bar(name, None, Unit.BYTES) as shown:
            path = pull(catalogue, entry, shown.reach)
        print(f"{name}\t{path}")
    return ExitCode.OK


def _verify(options: Namespace, catalogue: Catalogue) -> ExitCode:
    """Every file is looked at before the first bad one decides the exit code."""
    entries = [catalogue.require(name) for name in options.names] or [
        entry for entry in catalogue.entries if catalogue.has(entry)
    ]
    failure = ExitCode.OK
    for entry in entries:
        verdict, code = verdict_on(entry, catalogue)
        print(f"{entry.name}\t{verdict}\t{catalogue.file(entry)}")
        failure = failure or code
    return failure


def verdict_on(entry: Entry, catalogue: Catalogue) -> tuple[str, ExitCode]:
    """Whether an entry's file is there and whole, in words and as an exit code."""
    if not catalogue.has(entry):
        return "missing", MissingFileError.exit_code
    if not entry.offered:
        return "checksum unknown", ModelError.exit_code
    try:
        whole = sha256_of(catalogue.file(entry)) == entry.sha256
    except ModelError as error:
        return error.problem, error.exit_code
    return ("ok", ExitCode.OK) if whole else ("DAMAGED: SHA-256 differs", ModelError.exit_code)


def _info(options: Namespace, catalogue: Catalogue) -> ExitCode:
    overrides = ContractOverrides(
        options.labels, options.crop, options.input_range, options.taxonomy
    )
    choice = ModelChoice(options.model, "cpu", overrides)
    facts = describe(load_model(choice, catalogue=catalogue))
    if options.json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return ExitCode.OK
    facts["first_labels"] = ", ".join(facts["first_labels"])
    facts["taxonomy"] = _tree_lines(facts["taxonomy"])
    for key, value in facts.items():
        lines = value if isinstance(value, list) else [_inline(value)]
        print(f"{key.replace('_', ' '):<15} {lines[0] if lines else 'none'}")
        for line in lines[1:]:
            print(" " * 16 + str(line))
    return ExitCode.OK


def _tree_lines(taxonomy: dict[str, Any]) -> list[str]:
    """The tree for people: each node with its names and how many classes it has."""
    nodes = taxonomy["nodes"]
    lines = [f"{len(nodes)} nodes ({taxonomy['from']})"] if nodes else []
    below: dict[str | None, list[dict[str, Any]]] = {}
    for node in nodes:
        below.setdefault(node["parent"], []).append(node)
    # The last is the next.
    waiting = [(0, node) for node in reversed(below.get(None, []))]
    while waiting:
        depth, node = waiting.pop()
        names = ", ".join([node["name"], *node["names"].values()])
        unspoken = "" if node["spoken"] else ", never said alone"
        lines.append(f"{'  ' * depth}{names}: {node['classes']}{unspoken}")
        waiting += [(depth + 1, one) for one in reversed(below.get(node["name"], []))]
    return lines


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inline(item)}" for key, item in value.items())
    return str(value)


def describe(model: LoadedModel) -> dict[str, Any]:
    """All that ``models info`` prints, as JSON values."""
    engine, resolved = model.engine, model.resolved
    contract = resolved.contract
    nodes = contract.taxonomy.nodes
    operators = engine.operators()
    kinds = Counter(dtype for operator in operators for dtype in set(operator.dtypes))
    per_channel = sum(tensor["scales"] > 1 for tensor in engine.tensors())
    return {
        "name": model.name,
        "file": str(model.delegate_choice.model),
        "bytes": model.delegate_choice.model.stat().st_size,
        "sha256": model.sha256,
        "input": _tensor(engine.input),
        "output": _tensor(engine.output),
        "outputs_are": f"{contract.output} (last operator {engine.last_operator or 'unknown'})",
        "labels": f"{len(contract.labels)} ({resolved.labels_from})",
        "first_labels": list(contract.labels[:_FIRST_LABELS]),
        "names_also_in": sorted(contract.names),
        "preprocessing": {
            "from": resolved.preprocessing_from,
            "size": f"{contract.width} x {contract.height}",
            "crop": str(contract.crop),
            "crop_fraction": contract.crop_fraction,
            "interpolation": str(contract.interpolation),
            "colour_order": str(contract.colour_order),
            "mean": list(contract.mean),
            "std": list(contract.std),
            "input_range": contract.input_range,
            "because": resolved.reason or "it says so",
        },
        "operators": dict(Counter(operator.name for operator in operators).most_common()),
        "quantization": {
            "all_int8": "int8" in kinds and not kinds.keys() & {"uint8", "float32", "float16"},
            "operators_by_dtype": dict(kinds.most_common()),
            "tensors_with_per_channel_scales": per_channel,
        },
        "taxonomy": {
            "from": resolved.taxonomy_from,
            "nodes": [
                {
                    "name": node.name,
                    "parent": None if node.parent is None else nodes[node.parent].name,
                    "spoken": node.spoken,
                    "id": node.id,
                    "names": dict(node.names),
                    "classes": classes,
                }
                for node, classes in zip(nodes, contract.taxonomy.classes_below(), strict=True)
            ],
        },
        "notes": list(model.notes),
        "model_card": resolved.card.splitlines(),
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    facts: dict[str, Any] = {"shape": list(spec.shape), "dtype": spec.dtype.name}
    if spec.quantization:
        facts["scale"] = spec.quantization.scale
        facts["zero_point"] = spec.quantization.zero_point
    return facts
