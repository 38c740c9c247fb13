"""Progress of long work: a bar on a terminal, lines or nothing elsewhere."""

import sys

import pytest

from edge_classifier.progress import Unit, show_bar


@pytest.mark.parametrize("unit", Unit)
def test_bar_on_a_terminal_takes_any_title_and_unit(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")  # One that can move its cursor, whoever runs the tests.
    with show_bar("[red]{title}", None, unit) as bar:
        bar.reach(1, 4)
        bar.advance()
        bar.print_line("[red]{line}")
    found = capsys.readouterr()
    assert found.out == ""
    assert "[red]{title}" in found.err
    assert "[red]{line}" in found.err


def test_bar_that_nobody_watches_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with show_bar("title", 3) as bar:
        bar.reach(1, 4)
        bar.advance()
        bar.print_line("line")
    assert capsys.readouterr() == ("", "")
