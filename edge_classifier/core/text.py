"""Text that may reach a terminal, a log or a picture."""

import unicodedata

# Unicode's control characters, half characters, line and paragraph separators.
_UNFIT = ("Cc", "Cs", "Zl", "Zp")


def is_printable(text: str) -> bool:
    """Whether a terminal may see it.

    ``str.isprintable`` alone would refuse all blanks but one, and the joiners of Persian and Hindi.
    """
    return text.isprintable() or not any(unicodedata.category(c) in _UNFIT for c in text)


def escaped(text: str) -> str:
    r"""``text`` with what a terminal must not see as ``\x1b``: file names may hold anything."""
    if is_printable(text):
        return text
    return "".join(c if is_printable(c) else f"\\x{ord(c) & 0xFF:02x}" for c in text)


def writable(text: str) -> str:
    """``text`` with ``?`` for what UTF-8 cannot hold; file names need not be UTF-8."""
    return text.encode("utf-8", "replace").decode()
