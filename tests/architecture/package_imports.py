"""Which module of the package imports what, read from its text."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import edge_classifier

PACKAGE = "edge_classifier"


FOLDER = Path(edge_classifier.__file__).parent


RUNTIMES = ("ai_edge_litert", "tflite_runtime", "tensorflow")


# The runtime's description of its own files; what imports it writes models.
SCHEMA_MODULE = f"{PACKAGE}.modelfile.object_api"


PROGRESS = f"{PACKAGE}.progress"


CONFIG, SETTINGS = f"{PACKAGE}.config", f"{PACKAGE}.config.settings"


MQTT, DAEMON = f"{PACKAGE}.mqtt", f"{PACKAGE}.daemon"


DATASET, EVALUATION = f"{PACKAGE}.dataset", f"{PACKAGE}.evaluation"


TRAINING, WEB = f"{PACKAGE}.training", f"{PACKAGE}.web"


# What the names of modules begin with that run in the child process of the web page only.
CHILD = f"{WEB}.worker.child"


DJANGO = ("django", "axes", "csp", "ninja", "waitress", "whitenoise")


# What the workstation alone has.
WORKSHOP = ("torch", "litert_torch", "litert_quantizer", "safetensors", "h5py")


@dataclass(frozen=True)
class Import:
    """One module that another one imports."""

    importer: str
    line: int
    module: str
    # Inside a function, so that it costs nothing until it is called.
    late: bool

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: {self.module}"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by name."""
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text("utf-8"), str(path))
    return found


def imports_in(importer: str, node: ast.AST, *, late: bool = False) -> Iterator[Import]:
    """All imports below ``node``; of ``from package import module`` the module."""
    late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    late = late or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(importer, child.lineno, alias.name, late)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{importer} imports by a relative name"
            assert child.module
            for alias in child.names:
                submodule = f"{child.module}.{alias.name}"
                module = submodule if submodule in modules() else child.module
                yield Import(importer, child.lineno, module, late)
        else:
            yield from imports_in(importer, child, late=late)


@cache
def all_imports() -> tuple[Import, ...]:
    return tuple(found for name, tree in modules().items() for found in imports_in(name, tree))


def is_within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def texts_in(tree: ast.Module) -> Iterator[str]:
    """Every string that the code uses; docstrings are for people."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def importers_of(*packages: str) -> list[Import]:
    return [found for found in all_imports() if is_within(found.module, *packages)]


def is_late_command(found: Import) -> bool:
    return found.late and is_within(found.importer, f"{PACKAGE}.cli")


def within(package: str) -> list[str]:
    return [name for name in modules() if is_within(name, package)]
