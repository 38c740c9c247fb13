"""Text that may reach a terminal, a log, a picture or a spreadsheet."""

import re
import unicodedata

# Unicode's control characters, half characters, line and paragraph separators.
_UNFIT = ("Cc", "Cs", "Zl", "Zp")
# What turns the direction of all that follows, so that a name reads as another. Marks that turn
# nothing but themselves (U+200E, U+200F), and joiners, belong to words.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Of a folder's name, so that a path stays within the 255 and 260 of file systems.
_MOST_BYTES = 150
# What Windows takes in no name, and the mark that text files begin with.
_SEPARATORS = frozenset('/\\<>:"|?*\ufeff')
# Of a line of a log: its beginning and its end that are kept.
_HEAD, _TAIL = 700, 200
# What ends a cell for one spreadsheet or another. Comma and quote are the file's own, and quoted.
_BETWEEN_CELLS = r"([;|\t\n\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029])"
# What a formula begins with: = + - @, in every width, height and kind of letter.
_FORMULA = frozenset(
    "=\uff1d\ufe66\u207c\u208c\u2a75\u2a76"
    "+\uff0b\ufe62\u207a\u208a\ufb29"
    "-\uff0d\ufe63\u2212\u207b\u208b"
    "@\uff20\ufe6b"
)
# What may stand before it unseen: blanks, controls, joiners, marks; and letters without ink.
_UNSEEN = ("Cc", "Cf", "Mn", "Me", "Zs", "Zl", "Zp")
_WITHOUT_INK = '"\u115f\u1160\u3164\uffa0\u2800'


def natural_key(text: str) -> list[str | int]:
    """Sorts ``barn-2`` before ``barn-10``: what stands at an odd place is a number."""
    parts = re.split(r"([0-9]{1,18})", text)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]


def is_printable(text: str) -> bool:
    """Whether a terminal may see it.

    ``str.isprintable`` alone would refuse all blanks but one, and the joiners of Persian and Hindi.
    """
    return text.isprintable() or not any(
        c in _TURNING or unicodedata.category(c) in _UNFIT for c in text
    )


def escaped(text: str) -> str:
    r"""``text`` with what a terminal must not see as ``\x1b``: file names may hold anything."""
    if is_printable(text):
        return text
    return "".join(c if is_printable(c) else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    # Half characters stand for the bytes of a name that is not UTF-8.
    return f"\\u{code:04x}" if 0x2000 <= code < 0xD800 else f"\\x{code & 0xFF:02x}"


def writable(text: str) -> str:
    """``text`` with ``?`` for what UTF-8 cannot hold; file names need not be UTF-8."""
    return text.encode("utf-8", "replace").decode()


def shortened(text: str) -> str:
    """``text`` as far as a log has room for it: 900 characters, and how many were left out."""
    left_out = len(text) - _HEAD - _TAIL
    if left_out <= 0:
        return text
    return f"{text[:_HEAD]} [{left_out} characters left out] {text[-_TAIL:]}"


def one_line(text: str) -> str:
    """``text`` as a part of one line of a log, whoever wrote it: bounded, and fit to be seen."""
    # Short first, so that nothing large is copied; and again, as an escape is longer.
    return shortened(escaped(" | ".join(shortened(text).splitlines())))


def folded(text: str) -> str:
    """The same for texts that people take for the same, in any case and however an é is written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def folder_name(text: str) -> str:
    """``text`` as the name of a folder that any file system takes; empty if nothing is left of it.

    White space becomes one blank, what no name may hold an underscore.
    """
    fit = (
        c if c.isspace() or (is_printable(c) and c not in _SEPARATORS) else "_"
        for c in unicodedata.normalize("NFC", text)
    )
    name = " ".join("".join(fit).split()).lstrip(". ")
    # Windows drops dots and blanks at the end.
    return name.encode()[:_MOST_BYTES].decode(errors="ignore").rstrip(". ")


def without_formulas(text: str) -> str:
    """``text`` for a cell of CSV: an apostrophe before whatever a spreadsheet would run.

    Also behind a semicolon, a tab or a bar, where some spreadsheets begin another cell.
    """
    return "".join(
        f"'{part}" if _begins_formula(part) else part for part in re.split(_BETWEEN_CELLS, text)
    )


def _begins_formula(part: str) -> bool:
    for character in part:
        if unicodedata.category(character) not in _UNSEEN and character not in _WITHOUT_INK:
            return character in _FORMULA
    return False
