"""Reasons that the daemon gives are in docs/troubleshooting.md, in its words."""

import ast
import re

import pytest

from edge_classifier.decision.reasons import Reason
from tests.architecture.mqtt_page import rows, section
from tests.conftest import REPOSITORY

TROUBLESHOOTING = (REPOSITORY / "docs" / "troubleshooting.md").read_text("utf-8")


# Reasons that come from below.
OF_LIBRARIES = {
    "Not authorized",
    "Connection reset by peer",
    "self-signed certificate in certificate chain",
    "certificate is not valid for",
}


def test_every_reason_and_its_meaning_are_in_the_troubleshooting_page() -> None:
    listed = {name: meaning for name, meaning, _ in rows(section("Reasons", TROUBLESHOOTING))}
    assert listed == {str(reason): reason.meaning for reason in Reason}


def said_in(*folders: str) -> str:
    """Every text in the code of these parts of the package."""
    found = []
    for folder in folders:
        for path in (REPOSITORY / "edge_classifier" / folder).rglob("*.py"):
            tree = ast.walk(ast.parse(path.read_text("utf-8")))
            texts = (node.value for node in tree if isinstance(node, ast.Constant))
            found += [text for text in texts if isinstance(text, str)]
    return "\n".join(found)


@pytest.mark.parametrize(
    ("heading", "folders"),
    [("A camera is offline", ("capture", "core", "vision")), ("The broker", ("mqtt",))],
)
def test_reasons_of_the_troubleshooting_page_are_worded_as_the_daemon_words_them(
    heading: str, folders: tuple[str, ...]
) -> None:
    said = said_in(*folders)
    first_cells = re.findall(r"^\| (`.*?) \| ", section(heading, TROUBLESHOOTING), re.MULTILINE)
    assert len(first_cells) > 10
    for phrase in re.findall(r"`([^`]+)`", " ".join(first_cells)):
        # Figures, names and what the system says differ.
        parts = re.split(r"[.:] |\(?\.\.\.\)?|\d+|TOPIC", phrase)
        fixed = [part.strip(" .:;") for part in parts if part.strip(" .:;")]
        unknown = [part for part in fixed if part not in said and part not in OF_LIBRARIES]
        assert not unknown, phrase
