"""Text of others in logs and spreadsheets."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.text import (
    escaped,
    is_printable,
    natural_key,
    one_line,
    without_formulas,
)

BETWEEN = ";|\t\n\r\x0b\x0c"


def formula_starts() -> set[str]:
    """Every character that means = + - or @, by Unicode's own table."""
    found = {chr(c) for c in range(sys.maxunicode) if not 0xD800 <= c < 0xE000}
    signs = {"=", "+", "-", "@", "\u2212"}
    return {c for c in found if unicodedata.normalize("NFKC", c)[0] in signs}


def test_each_sign_that_means_a_formula_is_known() -> None:
    assert {c for c in formula_starts() if without_formulas(c) == c} == set()


@pytest.mark.parametrize(
    "blank", ["", " ", "\u3000", "\xa0", "\u200b", "\ufeff", "\u2060", '"', "\x00"]
)
@pytest.mark.parametrize("before", ["", *(f"x{sign}" for sign in BETWEEN)])
def test_formula_behind_blanks_and_at_each_cell_is_a_text(before: str, blank: str) -> None:
    assert without_formulas(f"{before}{blank}=1") == f"{before}'{blank}=1"


@pytest.mark.parametrize("text", ["", "cat", "AT&T - a = b", "a@b.org", "x;y", "1;2", "\u732b"])
def test_text_without_formulas_stays_as_it_is(text: str) -> None:
    assert without_formulas(text) == text


@given(st.text(max_size=2000) | st.text("\n\r\x1b\x85\u2028a", max_size=3000))
def test_part_of_a_log_line_is_one_bounded_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert len(line) < 1000
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in line)


def test_short_text_is_logged_as_it_is() -> None:
    assert one_line("camera front is offline: no frame for 5 s") == (
        "camera front is offline: no frame for 5 s"
    )


@pytest.mark.parametrize("sign", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_sign_that_turns_the_direction_of_what_follows_is_not_printed(sign: str) -> None:
    assert not is_printable(f"cat{sign}gpj")
    assert escaped(f"cat{sign}") == f"cat\\u{ord(sign):04x}"


@pytest.mark.parametrize(
    "word", ["\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645", "a\u200db", "\u200fa"]
)
def test_joiners_and_marks_belong_to_words(word: str) -> None:
    assert is_printable(word)


def test_names_with_numbers_stand_in_the_order_in_which_people_count() -> None:
    names = ["barn-10", "barn-2", "barn", "2", "barn-2b", "Barn-1", "a²", "barn-" + "9" * 50]
    assert sorted(names, key=natural_key)[:5] == ["2", "Barn-1", "a²", "barn", "barn-2"]
    assert sorted(["barn-10", "barn-2"], key=natural_key) == ["barn-2", "barn-10"]
