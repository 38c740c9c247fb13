"""Sentences for people, made of what errors and daemons say."""

from edge_classifier.core.text import escaped
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.web.full_disk import NO_ROOM, is_full

# What a sentence, or the line before a list, may end with.
_ENDS = (".", "!", "?", ":", "…", "。", "\uff01", "\uff1f", "\uff1a")
# From the first sign of Chinese writing on, a sentence ends with the Chinese full stop.
_CHINESE = "\u2e80"
_WIDE_ENDS = _ENDS[-4:]
_LONGEST_ANSWER = 500


def sentences(*parts: str) -> str:
    """``parts`` on one line, each with a capital and a full stop; empty ones are left out."""
    text = ""
    for part in filter(None, (" ".join(part.split()) for part in parts)):
        text += "" if not text or text.endswith(_WIDE_ENDS) else " "
        text += _sentence(part)
    return text


def _sentence(text: str) -> str:
    first = text.partition(" ")[0]
    # Names of files, models and settings stay as they are written.
    if first.rstrip(",").isalpha():
        text = text[:1].upper() + text[1:]
    if text.endswith(_ENDS):
        return text
    return text + ("。" if text[-1] >= _CHINESE else ".")


def explained(error: EdgeClassifierError) -> str:
    """What is wrong and what to do; without the subject, which may be a path."""
    return str(NO_ROOM) if is_full(error) else sentences(error.problem, error.remedy)


def quoted(answer: object) -> str:
    """What a daemon answered, whatever it is, as sentences that fit a page."""
    return escaped(sentences(*str(answer).splitlines()))[:_LONGEST_ANSWER]
