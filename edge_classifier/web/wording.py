"""Sentences for people, made of what errors and daemons say."""

from collections.abc import Iterable
from functools import lru_cache

from django.utils.translation import get_language

from edge_classifier.core.text import escaped
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.translation import Reader, translation_to
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
        # Names of files, models and settings stay as they are written; Chinese has no capitals.
        is_word = part.partition(" ")[0].rstrip(",").isalpha() and max(part) < _CHINESE
        sentence = part[:1].upper() + part[1:] if is_word else part
        end = "。" if sentence[-1] >= _CHINESE else "."
        text += sentence if sentence.endswith(_ENDS) else sentence + end
    return text


def translated(text: object) -> str:
    """A sentence of the package, or of this page, in the reader's language; others as they are."""
    language = "zh-Hans" if (get_language() or "").startswith("zh") else "en"
    return Reader(_translation_to(language), {}).told(text)


_translation_to = lru_cache(translation_to)


def explained(error: EdgeClassifierError) -> str:
    """What is wrong and what to do; without the subject, which may be a path."""
    return in_sentences(parts_of(error))


def parts_of(error: BaseException) -> tuple[object, ...]:
    """What ``in_sentences`` makes words of, later and for a reader of any language."""
    if is_full(error):
        return (NO_ROOM,)
    if isinstance(error, EdgeClassifierError):
        return (error.problem, error.remedy)
    return (str(error),)


def in_sentences(parts: Iterable[object]) -> str:
    """``parts`` in the reader's language, each line of them a sentence."""
    return sentences(*(line for part in parts for line in translated(part).splitlines()))


def quoted(answer: object) -> str:
    """What a daemon answered, whatever it is, as sentences that fit a page."""
    return escaped(sentences(*str(answer).splitlines()))[:_LONGEST_ANSWER]
