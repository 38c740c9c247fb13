"""Which library is imported where: docs/architecture.md as a test."""

import ast
from pathlib import Path

import pytest

from tests.architecture.package_imports import (
    CONFIG,
    DJANGO,
    EVALUATION,
    MQTT,
    PACKAGE,
    PROGRESS,
    RUNTIMES,
    SCHEMA_MODULE,
    TRAINING,
    WEB,
    WORKSHOP,
    importers_of,
    imports_in,
    is_late_command,
    is_within,
    modules,
    texts_in,
    within,
)

TESTS = Path(__file__).parent.parent


RUNTIME_MODULE, PULL_MODULE = f"{PACKAGE}.engine.runtime", f"{PACKAGE}.modelfile.pull"


VALIDATION = (f"{CONFIG}.schema", f"{CONFIG}.validate")


SQLITE = (f"{MQTT}.outbox.outbox_database", f"{MQTT}.outbox.outbox", f"{WEB}.startup")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_tflite_runtime_is_named_by_one_module_only(runtime: str) -> None:
    naming = {name for name, tree in modules().items() if any(runtime in t for t in texts_in(tree))}
    naming |= {found.importer for found in importers_of(runtime)}
    on_the_device = {name for name in naming if not is_within(name, f"{PACKAGE}.training")}
    assert on_the_device - {SCHEMA_MODULE} == {RUNTIME_MODULE}


def test_tflite_runtime_is_imported_by_name_when_it_is_wanted() -> None:
    assert [str(one) for one in importers_of(*RUNTIMES) if one.importer == RUNTIME_MODULE] == []


@pytest.mark.parametrize("library", WORKSHOP)
def test_workstation_library_is_imported_by_training_only(library: str) -> None:
    found = importers_of(library)
    assert found, "the rule is for a library that is gone"
    assert [str(one) for one in found if not is_within(one.importer, TRAINING)] == []


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
        (
            "sqlite3",
            (*SQLITE, f"{WEB}.database_away", f"{WEB}.backup.make_backup", f"{WEB}.backup.restore"),
        ),
        ("annotated_types", (f"{CONFIG}.constraints",)),
        ("matplotlib", (f"{EVALUATION}.charts",)),
        ("jinja2", (f"{EVALUATION}.html_report",)),
        ("apprise", (f"{WEB}.notify.send_child",)),
    ],
)
def test_library_of_one_adapter_is_imported_by_it_only(
    package: str, users: tuple[str, ...]
) -> None:
    found = importers_of(package)
    assert found, "the rule is for a library that is gone"
    assert [str(one) for one in found if one.importer not in users] == []


@pytest.mark.parametrize("library", DJANGO)
def test_django_and_what_belongs_to_it_is_imported_by_the_web_page_only(library: str) -> None:
    found = importers_of(library)
    named = any(library in text for name in within(WEB) for text in texts_in(modules()[name]))
    assert found or named, "the rule is for a library that is gone"
    wrong = [one for one in found if not is_within(one.importer, WEB) and not is_late_command(one)]
    assert [str(one) for one in wrong] == []


def test_rich_is_imported_late_and_by_what_people_watch_only() -> None:
    found = importers_of("rich")
    assert found, "the rule is for a library that is gone"
    watched = f"{PACKAGE}.cli", PROGRESS
    wrong = [one for one in found if not one.late or not is_within(one.importer, *watched)]
    assert [str(one) for one in wrong] == []


@pytest.mark.parametrize(
    ("library", "users"),
    # Messages go out by apprise, which reads answers by requests.
    [("pooch", (PULL_MODULE,)), ("requests", (PULL_MODULE, f"{WEB}.notify.send_child"))],
)
def test_download_libraries_are_imported_late_and_by_their_adapters_only(
    library: str, users: tuple[str, ...]
) -> None:
    found = importers_of(library)
    assert found, "the rule is for a library that is gone"
    assert [str(one) for one in found if not one.late or one.importer not in users] == []
