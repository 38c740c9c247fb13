"""What the program has, the documents say; what the documents point to is there."""

import argparse
import re
import shlex
import tomllib
from dataclasses import fields
from itertools import chain
from pathlib import Path

import pytest

from edge_classifier.cli.main import CLASSIFY, COMMANDS, build_parser, load_command
from edge_classifier.config import sources
from edge_classifier.config.reference import with_tables
from edge_classifier.core.contract import Contract
from edge_classifier.errors import ExitCode
from edge_classifier.modelfile.catalogue import CATALOGUE_VARIABLE, MODELS_VARIABLE, load_catalogue
from edge_classifier.web.config import load_settings
from edge_classifier.web.django_settings import DATABASE_VARIABLE
from tests.conftest import REPOSITORY

CLI_TEXT = (REPOSITORY / "docs" / "cli.md").read_text("utf-8")
PAGES = [REPOSITORY / "README.md", *sorted(REPOSITORY.glob("docs/**/*.md"))]
PAGES += [REPOSITORY / "models" / "README.md", REPOSITORY / "edge_classifier/samples/README.md"]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Long options of a parser and its sub-commands."""
    found: set[str] = set()
    for action in parser._actions:
        found |= {option for option in action.option_strings if option.startswith("--")}
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found |= options_of(inner)
    return found


@pytest.mark.parametrize("name", [CLASSIFY, *COMMANDS])
def test_every_option_of_a_command_is_in_the_docs(name: str) -> None:
    parser = build_parser(name, load_command(name))
    missing = {option for option in options_of(parser) if f"`{option}" not in CLI_TEXT}
    assert not missing - {"--debug"} - ({"--json"} if "--json]" in CLI_TEXT else set())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section(name: str) -> None:
    assert f"## `edge-classify {name}`" in CLI_TEXT


def commands() -> list[str]:
    """Every `edge-classify ...` that is to be typed in as it stands, in any document."""
    found: list[str] = []
    for page in PAGES:
        blocks = re.findall(
            r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        for block in (text for language, text in blocks if language in ("", "sh")):
            lines = re.sub(r"\s*\\\n\s*", " ", block).splitlines()
            typed = [re.split(r"\s+#\s|\s[|>]\s", line)[0].split("&&") for line in lines]
            named = [
                re.fullmatch(r"(?:\S+ )*?\S*\bedge-classify (\S.*)", one.strip())
                for one in chain(*typed)
            ]
            # A list of commands has what each does behind it, without a `#`; a diagram has lines.
            found += [one[1] for one in named if one and not re.search("  |─", one[1])]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("command", commands())
def test_command_of_a_document_is_understood(command: str) -> None:
    name, *words = shlex.split(command)
    if name not in COMMANDS:
        name, words = CLASSIFY, shlex.split(command)
    build_parser(name, load_command(name)).parse_args(words)


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_in_the_docs_with_its_meaning(code: ExitCode) -> None:
    plain = CLI_TEXT.replace("`", "")
    assert f"| {code.value} | {code.meaning} |" in plain


@pytest.mark.parametrize("variable", [CATALOGUE_VARIABLE, MODELS_VARIABLE])
def test_every_environment_variable_is_in_the_docs(variable: str) -> None:
    assert f"`{variable}`" in CLI_TEXT


@pytest.mark.parametrize(
    "key", [item.name for item in fields(Contract) if item.name not in ("labels", "taxonomy")]
)
def test_every_contract_key_is_in_the_docs(key: str) -> None:
    assert f"`{key}`" in (REPOSITORY / "docs" / "contract.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["configuration.md", "training-settings.md", "web-settings.md"])
def test_tables_of_settings_are_the_ones_that_the_classes_make(name: str) -> None:
    page = (REPOSITORY / "docs" / name).read_text("utf-8")
    remedy = f"python -m edge_classifier.config.reference docs/{name}"
    assert page == with_tables(page), remedy


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("configuration.md", sources.PREFIX),
        ("configuration.md", sources.FILE_VARIABLE),
        ("configuration.md", str(sources.SYSTEM_FILE)),
        ("web-settings.md", load_settings.PREFIX),
        ("web-settings.md", str(load_settings.SYSTEM_FILE)),
        ("web-settings.md", DATABASE_VARIABLE),
    ],
)
def test_pages_of_settings_tell_where_they_come_from(name: str, constant: str) -> None:
    assert constant in (REPOSITORY / "docs" / name).read_text("utf-8")


def headings_of(page: Path) -> set[str]:
    """What links call the headings of a document."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    linked = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    shown = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in linked]
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in shown}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_between_documents_leads_somewhere(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text("utf-8")):
        if "://" not in target:
            there = page.parent / target if target else page
            assert there.exists(), target
            assert not heading or heading in headings_of(there), f"{target}#{heading}"


def test_every_picture_of_the_documents_is_shown_by_one() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    pictures = [one.name for one in REPOSITORY.glob("docs/images/**/*.webp")]
    assert pictures
    assert [one for one in pictures if f"/{one}" not in text] == []


def test_every_model_has_its_licence_and_every_embedded_one_its_hash_in_the_model_cards() -> None:
    cards = (REPOSITORY / "models" / "README.md").read_text("utf-8")
    for entry in load_catalogue().entries:
        assert entry.name in cards
        assert entry.licence in cards
        assert not entry.embedded or entry.sha256 in cards


def test_every_sample_picture_has_its_rights_stated() -> None:
    rights = (REPOSITORY / "edge_classifier/samples/README.md").read_text("utf-8")
    for picture in (REPOSITORY / "edge_classifier/samples").glob("*.jpg"):
        assert f"| {picture.name} |" in rights


def test_the_wheel_takes_the_models_along() -> None:
    data = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    wheel = data["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"models": "edge_classifier/models"}


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test"])
def test_command_of_the_readme_is_there_and_ci_runs_it_as_it_stands(script: str) -> None:
    assert f"\n{script}  " in (REPOSITORY / "README.md").read_text("utf-8")
    assert (REPOSITORY / script).stat().st_mode & 0o111
    ci = (REPOSITORY / ".ci" / "run").read_text("utf-8")
    alone = rf"^part \w+ \"\${{newcomer\[@\]}}\" {script}( </dev/null)?$"
    assert re.search(alone, ci, re.MULTILINE)


def test_each_promise_names_tests_that_are_there() -> None:
    text = (REPOSITORY / "docs" / "guarantees.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 30
    for file, test in named:
        assert (REPOSITORY / file).is_file(), file
        if test:
            assert f"def {test}(" in (REPOSITORY / file).read_text("utf-8"), f"{file}::{test}"
    rows = [line for line in text.splitlines() if line.startswith("| ") and "held by" not in line]
    assert [row for row in rows if "`tests/" not in row] == []


MAP = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
# Folders in `web/` that Django names, and not we.
OF_DJANGO = {"formats", "locale", "migrations", "static", "templates", "templatetags"}


def map_rows() -> list[str]:
    table = MAP.partition("## Where is what?")[2].partition("##")[0]
    return [line for line in table.splitlines() if "`" in line]


@pytest.mark.parametrize("row", map_rows())
def test_files_of_a_row_of_the_map_are_there(row: str) -> None:
    package = REPOSITORY / "edge_classifier"
    named = re.findall(r"`([\w/]+(?:\.(?:py|js|css)|/))`", row)
    folders = [package / (one if one.endswith("/") else one.rpartition("/")[0]) for one in named]
    for name in named:
        # A bare name is that of a file in a folder, or beside a file, of the same row.
        nearby = (
            []
            if "/" in name.rstrip("/")
            else [found for one in folders if one != package for found in one.rglob(name)]
        )
        assert (package / name).exists() or nearby, name


def test_every_folder_is_on_the_map() -> None:
    package = REPOSITORY / "edge_classifier"
    for folder in [*package.glob("*/"), *(package / "web").glob("*/")]:
        if any(folder.glob("*.py")) and folder.name not in OF_DJANGO:
            name = str(folder.relative_to(package))
            assert f"`{name}/" in MAP, name
