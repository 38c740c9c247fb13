"""The sections and tables of docs/mqtt.md."""

import re

from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "mqtt.md").read_text("utf-8")


def section(heading: str, page: str = PAGE) -> str:
    """The text below a heading, to the next one."""
    found = re.search(rf"^#+ `?{re.escape(heading)}`?$", page, re.MULTILINE)
    assert found, f"no section {heading}"
    return re.split(r"^#+ ", page[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables whose first column is code, without the backquotes around it.

    A line with several names in that column has a row for each.
    """
    lines = re.findall(r"^\| (`[^|]+`) \|(.*)$", text, re.MULTILINE)
    return [
        [name, *(cell.strip().strip("`") for cell in cells.strip("|").split(" | "))]
        for names, cells in lines
        for name in re.findall("`([^`]+)`", names)
    ]
