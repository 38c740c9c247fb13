"""What a process loads: nothing heavy that it may not need."""

import subprocess
import sys
from collections.abc import Sequence

from tests.architecture.package_imports import (
    CHILD,
    PACKAGE,
    RUNTIMES,
    WEB,
    WORKSHOP,
    Import,
    all_imports,
    is_within,
    within,
)


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
    heavy = ("numpy", "cv2", "PIL", "apprise", *RUNTIMES, *WORKSHOP)
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
    heavy = {"pydantic", "annotated_types", "typing_extensions", "PIL", "prometheus_client"}
    # ``html`` comes with the standard library's server: 1 MB of names of characters.
    heavy |= {"html", "wsgiref", "rich", "pooch", "requests", "torch"}
    assert loaded & {*heavy, *RUNTIMES} == set()


def test_import_of_the_teach_command_loads_nothing_that_it_may_not_need() -> None:
    assert loaded_by(f"{PACKAGE}.cli.teach") & {"numpy", "rich", "torch", *RUNTIMES} == set()
    loaded = loaded_by(f"{PACKAGE}.teach.report")
    assert (
        loaded & {"matplotlib", "jinja2", "rich", "pydantic", "sklearn", "scipy", *WORKSHOP}
        == set()
    )


def test_import_of_the_classify_command_loads_nothing_that_it_may_not_need() -> None:
    loaded = loaded_by(f"{PACKAGE}.cli.classify")
    assert "cv2" in loaded
    assert loaded & {"rich", "pooch", "requests", "torch", *RUNTIMES} == set()
