"""Which part may import what: docs/architecture.md as a test."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import edge_classifier

PACKAGE = "edge_classifier"
FOLDER = Path(edge_classifier.__file__).parent
TESTS = Path(__file__).parent.parent
RUNTIMES = ("ai_edge_litert", "tflite_runtime", "tensorflow")
RUNTIME_MODULE, PULL_MODULE = f"{PACKAGE}.engine.runtime", f"{PACKAGE}.modelfile.pull"
CORE, ERRORS = f"{PACKAGE}.core", f"{PACKAGE}.errors"
FILES, CHILD_PROCESS = f"{PACKAGE}.files", f"{PACKAGE}.child"
PROGRESS = f"{PACKAGE}.progress"
PROTOCOLS, VISION = f"{PACKAGE}.protocols", f"{PACKAGE}.vision"
ENGINE, MODELFILE = f"{PACKAGE}.engine", f"{PACKAGE}.modelfile"
CONFIG, SETTINGS = f"{PACKAGE}.config", f"{PACKAGE}.config.settings"
FIELD_TYPES, QUIET_HOURS = f"{CONFIG}.field_types", f"{CORE}.quiet_hours"
NETWORK_ADDRESS = f"{CORE}.network_address"
CAPTURE, DECISION = f"{PACKAGE}.capture", f"{PACKAGE}.decision"
MQTT, DAEMON = f"{PACKAGE}.mqtt", f"{PACKAGE}.daemon"
VALIDATION = (f"{CONFIG}.schema", f"{CONFIG}.validate")
PROMETHEUS = f"{DAEMON}.http"
DATASET, EVALUATION = f"{PACKAGE}.dataset", f"{PACKAGE}.evaluation"
TRAINING, WEB = f"{PACKAGE}.training", f"{PACKAGE}.web"
SQLITE = (f"{MQTT}.outbox.outbox_database", f"{MQTT}.outbox.outbox", f"{WEB}.startup")
# What the names of modules begin with that run in the child process of the web page only.
CHILD = f"{WEB}.worker.child"
DJANGO = ("django", "axes", "csp", "ninja", "waitress", "whitenoise")
# What the workstation alone has.
WORKSHOP = ("torch", "litert_torch", "litert_quantizer", "safetensors", "h5py")

# Module or package to what it may import beside the standard library.
ALLOWED = {
    PACKAGE: (),
    ERRORS: (),
    FILES: (ERRORS,),
    CHILD_PROCESS: (),
    PROGRESS: ("rich",),
    CORE: ("numpy", CORE),
    PROTOCOLS: (CORE,),
    VISION: ("numpy", "cv2", "PIL", CORE, ERRORS, PROTOCOLS, SETTINGS, VISION),
    CONFIG: ("annotated_types", "pydantic", "pydantic_core", CORE, ERRORS, CONFIG),
    SETTINGS: ("annotated_types", FIELD_TYPES),
    FIELD_TYPES: ("annotated_types", QUIET_HOURS, NETWORK_ADDRESS, f"{CORE}.contract"),
    CAPTURE: ("numpy", "cv2", CORE, ERRORS, PROTOCOLS, SETTINGS, VISION, CAPTURE),
    DECISION: ("numpy", CORE, SETTINGS, DECISION),
    MQTT: (
        "paho",
        CORE,
        ERRORS,
        PROTOCOLS,
        CONFIG,
        PACKAGE,
        MQTT,
    ),
    MODELFILE: ("numpy", "pooch", "requests", CORE, ERRORS, MODELFILE),
    ENGINE: ("numpy", CORE, ERRORS, PROTOCOLS, ENGINE),
    DATASET: ("numpy", CORE, ERRORS, VISION, DATASET),
    EVALUATION: (
        "numpy",
        "cv2",
        "jinja2",
        "markupsafe",
        "matplotlib",
        PACKAGE,
        CORE,
        ERRORS,
        PROTOCOLS,
        SETTINGS,
        f"{CONFIG}.toml",
        VISION,
        DATASET,
        f"{PACKAGE}.model_loading",
        f"{PACKAGE}.batch",
        f"{PACKAGE}.classifier",
        EVALUATION,
    ),
    DAEMON: (
        "numpy",
        "prometheus_client",
        CORE,
        ERRORS,
        PROTOCOLS,
        CONFIG,
        CAPTURE,
        DECISION,
        MQTT,
        VISION,
        MODELFILE,
        ENGINE,
        f"{PACKAGE}.classifier",
        f"{PACKAGE}.model_loading",
        PACKAGE,
        DAEMON,
    ),
    WEB: (
        "annotated_types",
        "dj_database_url",
        "botocore",
        *DJANGO,
        CORE,
        ERRORS,
        CONFIG,
        f"{MQTT}.connection",
        f"{MQTT}.codec",
        f"{MQTT}.topics",
        f"{MODELFILE}.catalogue",
        f"{MODELFILE}.model_zip",
        PACKAGE,
        WEB,
    ),
    f"{PACKAGE}.model_loading": (VISION, ENGINE, MODELFILE, f"{PACKAGE}.classifier"),
    f"{PACKAGE}.classifier": ("numpy", CORE, PROTOCOLS, VISION),
    f"{PACKAGE}.batch": (ERRORS, PROTOCOLS, VISION, f"{PACKAGE}.classifier"),
}
# What has no effects; all others may write files and start children in the one way there is.
PURE = (PACKAGE, ERRORS, CORE, PROTOCOLS, SETTINGS, FIELD_TYPES, DECISION)
ALLOWED_TO_THE_CHILD = (
    *(FILES, CHILD_PROCESS),
    *("numpy", "PIL", VISION, MODELFILE, ENGINE),
    *(f"{PACKAGE}.model_loading", f"{PACKAGE}.classifier", CORE, ERRORS, WEB),
)


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


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def texts_in(tree: ast.Module) -> Iterator[str]:
    """Every string that the code uses; docstrings are for people."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def importers_of(*packages: str) -> list[Import]:
    return [found for found in all_imports() if is_within(found.module, *packages)]


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_of_a_layer_stay_below_it(part: str) -> None:
    # The package itself is its __init__ alone: its parts have rules of their own.
    own = [part] if part == PACKAGE else [name for name in modules() if is_within(name, part)]
    own = [name for name in own if not name.startswith(CHILD)]
    tools = () if part in PURE else (FILES, CHILD_PROCESS)
    assert wrong_imports(own, (*ALLOWED[part], *tools)) == []


def test_imports_of_the_web_pages_child_are_those_of_a_classifier() -> None:
    children = [name for name in modules() if name.startswith(CHILD)]
    assert wrong_imports(children, ALLOWED_TO_THE_CHILD) == []


def test_child_of_the_web_page_is_imported_by_itself_only() -> None:
    found = [one for one in all_imports() if one.module.startswith(CHILD)]
    assert found, "the rule is for modules that are gone"
    assert [str(one) for one in found if not one.importer.startswith(CHILD)] == []


def wrong_imports(importers: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """What ``importers`` import beside the standard library and ``allowed``."""
    assert importers, "the rule is for a part that is gone"
    return [
        str(found)
        for found in all_imports()
        if found.importer in importers
        and not is_standard(found.module)
        and not is_within(found.module, *(name for name in allowed if name != PACKAGE))
        and not (found.module == PACKAGE and PACKAGE in allowed)
    ]


def test_imports_of_the_command_line_are_its_own_business() -> None:
    allowed = (f"{PACKAGE}.cli", f"{PACKAGE}.__main__")
    found = importers_of(f"{PACKAGE}.cli")
    assert [str(one) for one in found if not is_within(one.importer, *allowed)] == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_tflite_runtime_is_named_by_one_module_only(runtime: str) -> None:
    naming = {name for name, tree in modules().items() if any(runtime in t for t in texts_in(tree))}
    naming |= {found.importer for found in importers_of(runtime)}
    on_the_device = {name for name in naming if not is_within(name, f"{PACKAGE}.training")}
    assert on_the_device == {RUNTIME_MODULE}


def test_tflite_runtime_is_imported_by_name_when_it_is_wanted() -> None:
    assert [str(one) for one in importers_of(*RUNTIMES) if one.importer == RUNTIME_MODULE] == []


@pytest.mark.parametrize("library", WORKSHOP)
def test_workstation_library_is_imported_by_training_only(library: str) -> None:
    found = importers_of(library)
    assert found, "the rule is for a library that is gone"
    assert [str(one) for one in found if not is_within(one.importer, TRAINING)] == []


def test_training_is_imported_late_and_by_the_command_line_only() -> None:
    found = [one for one in importers_of(TRAINING) if not is_within(one.importer, TRAINING)]
    assert found, "the rule is for a command that is gone"
    wrong = [one for one in found if not one.late or not is_within(one.importer, f"{PACKAGE}.cli")]
    assert [str(one) for one in wrong] == []


def test_tests_import_what_the_workstation_alone_has_late_or_in_a_folder_of_their_own() -> None:
    # Where the extra `train` is not installed, one such import ends the collection of all tests.
    wrong = [
        str(found)
        for path in sorted(TESTS.rglob("*.py"))
        if TESTS / "training" not in path.parents
        for found in imports_in(str(path), ast.parse(path.read_text("utf-8")))
        if not found.late and is_within(found.module, TRAINING, "tests.training", *WORKSHOP)
    ]
    assert wrong == []


@pytest.mark.parametrize("library", ["pydantic", "pydantic_core"])
def test_pydantic_is_imported_by_validation_only(library: str) -> None:
    found = importers_of(library)
    assert found, "the rule is for a library that is gone"
    assert [str(one) for one in found if one.importer not in VALIDATION] == []


@pytest.mark.parametrize(
    ("package", "users"),
    [
        ("paho", (f"{MQTT}.connection.broker_connection",)),
        ("sqlite3", (*SQLITE, f"{WEB}.backup.make_backup", f"{WEB}.backup.restore")),
        ("prometheus_client", (PROMETHEUS,)),
        ("matplotlib", (f"{EVALUATION}.charts",)),
        ("jinja2", (f"{EVALUATION}.html_report",)),
    ],
)
def test_library_of_one_adapter_is_imported_by_it_only(
    package: str, users: tuple[str, ...]
) -> None:
    found = importers_of(package)
    assert found, "the rule is for a library that is gone"
    assert [str(one) for one in found if one.importer not in users] == []


def test_daemon_is_imported_by_the_command_line_only() -> None:
    found = importers_of(DAEMON)
    wrong = [one for one in found if not is_within(one.importer, DAEMON, f"{PACKAGE}.cli")]
    assert [str(one) for one in wrong] == []


@pytest.mark.parametrize("library", DJANGO)
def test_django_and_what_belongs_to_it_is_imported_by_the_web_page_only(library: str) -> None:
    found = importers_of(library)
    named = any(library in text for name in within(WEB) for text in texts_in(modules()[name]))
    assert found or named, "the rule is for a library that is gone"
    wrong = [one for one in found if not is_within(one.importer, WEB) and not is_late_command(one)]
    assert [str(one) for one in wrong] == []


def test_web_page_is_imported_late_and_by_the_command_line_only() -> None:
    found = [one for one in importers_of(WEB) if not is_within(one.importer, WEB)]
    assert found, "the rule is for a command that is gone"
    assert [str(one) for one in found if not is_late_command(one)] == []


def is_late_command(found: Import) -> bool:
    return found.late and is_within(found.importer, f"{PACKAGE}.cli")


def within(package: str) -> list[str]:
    return [name for name in modules() if is_within(name, package)]


def test_rich_is_imported_late_and_by_what_people_watch_only() -> None:
    found = importers_of("rich")
    assert found, "the rule is for a library that is gone"
    watched = f"{PACKAGE}.cli", PROGRESS
    wrong = [one for one in found if not one.late or not is_within(one.importer, *watched)]
    assert [str(one) for one in wrong] == []


@pytest.mark.parametrize("library", ["pooch", "requests"])
def test_download_libraries_are_imported_late_and_by_pull_only(library: str) -> None:
    found = importers_of(library)
    assert found, "the rule is for a library that is gone"
    assert [str(one) for one in found if not one.late or one.importer != PULL_MODULE] == []


@pytest.mark.parametrize(
    ("code", "module", "late"),
    [
        ("import torch", "torch", False),
        ("import torch.nn as nn", "torch.nn", False),
        ("from torch import nn", "torch", False),
        ("if True:\n  import torch", "torch", False),
        ("try:\n  import torch\nexcept ImportError: pass", "torch", False),
        ("class A:\n  import torch", "torch", False),
        ("def f():\n  import torch", "torch", True),
        ("class A:\n  def f(self):\n    if self:\n      from torch import nn", "torch", True),
        ("async def f():\n  import torch", "torch", True),
        ("if TYPE_CHECKING:\n  import torch", "torch", True),
        ("from edge_classifier import batch", "edge_classifier.batch", False),
        ("from edge_classifier import __version__", "edge_classifier", False),
    ],
)
def test_imports_in_any_place_are_seen(code: str, module: str, late: bool) -> None:
    (found,) = imports_in("example", ast.parse(code))
    assert (found.module, found.late) == (module, late)


def test_texts_in_code_are_seen_and_docstrings_are_not() -> None:
    code = '"""torch"""\ndef f():\n  """torch"""\n  return g("numpy", f"{f}cv2")'
    assert sorted(texts_in(ast.parse(code))) == ["cv2", "numpy"]


def ways_to(
    libraries: Sequence[str], starts: Sequence[str], imports: Sequence[Import]
) -> list[str]:
    """How one of ``libraries`` comes with ``starts``: importer by importer, the last one to blame.

    Imports inside functions bring nothing. A module brings the packages that it lies in.
    """
    at_once: dict[str, list[str]] = {}
    for one in imports:
        if not one.late:
            at_once.setdefault(one.importer, []).append(one.module)
    ways = {start: start for start in starts}
    waiting, found = list(starts), []
    for module in waiting:
        parents = [module.rpartition(".")[0]] if "." in module else []
        for brought in (*at_once.get(module, ()), *parents):
            way = f"{ways[module]} > {brought}"
            if is_within(brought, *libraries):
                found.append(way)
            elif brought not in ways:
                ways[brought] = way
                waiting.append(brought)
    return found


def test_process_of_the_web_page_is_brought_nothing_heavy_by_any_module() -> None:
    heavy = ("numpy", "cv2", "PIL", *RUNTIMES, *WORKSHOP)
    pages = [name for name in within(WEB) if not name.startswith(CHILD)]
    assert ways_to(heavy, pages, all_imports()) == []


def test_module_that_brings_something_heavy_is_named_with_the_way_to_it() -> None:
    imports = [
        Import("page", 1, "mqtt.limits", late=False),
        Import("page", 2, "late", late=True),
        Import("late", 1, "numpy", late=False),
        Import("mqtt.limits", 1, "protocols", late=False),
        Import("protocols", 1, "core.frame", late=False),
        Import("core.frame", 1, "numpy", late=False),
    ]
    expected = ["page > mqtt.limits > protocols > core.frame > numpy"]
    assert ways_to(["numpy"], ["page"], imports) == expected
    in_package = [
        Import("page", 1, "mqtt.limits", late=False),
        Import("mqtt", 1, "cv2.x", late=False),
    ]
    assert ways_to(["cv2"], ["page"], in_package) == ["page > mqtt.limits > mqtt > cv2.x"]


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh Python holds once it has imported ``module``."""
    code = f"import sys, {module}; print(*sorted(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert PACKAGE in done.stdout
    return set(done.stdout.split())


def test_import_of_the_package_loads_neither_numpy_nor_opencv_nor_a_runtime() -> None:
    assert loaded_by(PACKAGE) & {"numpy", "cv2", "PIL", *RUNTIMES} == set()


def test_import_of_the_run_command_loads_nothing_that_it_may_not_need() -> None:
    loaded = loaded_by(f"{PACKAGE}.cli.run")
    assert {"cv2", "paho"} <= loaded
    heavy = {"pydantic", "PIL", "prometheus_client", "rich", "pooch", "requests", "torch"}
    assert loaded & {*heavy, *RUNTIMES} == set()


def test_import_of_the_classify_command_loads_nothing_that_it_may_not_need() -> None:
    loaded = loaded_by(f"{PACKAGE}.cli.classify")
    assert "cv2" in loaded
    assert loaded & {"rich", "pooch", "requests", "torch", *RUNTIMES} == set()
